"""What the worker with slot 0 does beside it."""

from __future__ import annotations

from typing import Any

from producers.snapshot import ReplacedError, Resnapshot, Stage
from producers.stream import Clock
from producers.stream.view import SNAPSHOT, View
from schemas.errors import FatalError, RetryableError
from schemas.snapshot import REQUEST_KEY, RUN_KEY, GapNote, Request, Run, entry_json, gap_key


class OneRun:
    """A run that does what it is told, and remembers."""

    stage = Stage.SCANNING

    def __init__(self, *outcomes: Exception | None) -> None:
        self.outcomes, self.steps, self.stopped = list(outcomes), 0, 0

    def step(self) -> int:
        self.steps += 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        return 7

    def stop(self) -> None:
        self.stopped += 1


class Rig:
    """A view, a clock, and runs."""

    def __init__(self, run: OneRun, *failing: Exception) -> None:
        self.now, self.said = 1_000_000, list[str]()
        self.view, self.run, self.failing = View(2), run, list(failing)
        clock = Clock(lambda: self.now, lambda: self.now, lambda: 0.5)
        self.beside = Resnapshot(self.view, clock, self._make, takeover_after_ms=5_000, tell=self.said.append)

    def _make(self) -> Any:
        if self.failing:
            raise self.failing.pop(0)
        return self.run

    def hear(self, key: bytes, entry: Any) -> None:
        self.view.follow([(SNAPSHOT, key, entry_json(entry))])


def test_it_begins_after_a_gap_and_not_before() -> None:
    """Nothing is due at first; a gap's note makes it due at once."""
    rig = Rig(OneRun())
    rig.beside.step()
    assert rig.run.steps == 0
    rig.hear(gap_key(1), GapNote(1, rig.now))
    assert rig.beside.step() == 7
    assert rig.run.steps == 1


def test_a_run_of_someone_else_is_left_alone_while_it_moves() -> None:
    """A snapshot that is under way is taken over only when nothing was written for the bound."""
    rig = Rig(OneRun())
    rig.hear(REQUEST_KEY, Request(2, 4, rig.now))
    rig.hear(RUN_KEY, Run("another", rig.now))
    rig.now += 4_999
    rig.beside.step()
    assert rig.run.steps == 0
    rig.now += 1
    rig.beside.step()
    assert rig.run.steps == 1


def test_whatever_a_scan_meets_the_worker_goes_on() -> None:
    """A registry that is away, a table that refuses, another run: told where it is trouble, and tried again later."""
    run = OneRun(FatalError("refused", hint="none"), ReplacedError("another run", hint="none"))
    rig = Rig(run, RetryableError("the registry is away", hint="wait"))
    rig.hear(gap_key(0), GapNote(1, rig.now))
    for said in (["the registry is away"], ["the registry is away", "refused"], ["the registry is away", "refused"]):
        rig.beside.step()
        assert rig.said == said
        rig.beside.step()
        rig.now += 5_000
    rig.beside.step()
    assert rig.said[-1] == ""
    assert run.stopped == 2
