"""Snapshots over simulated workers, streams and Kafka; and bugs of other products, planted again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from producers.snapshot.reading import Reading
from producers.stream.transaction import Transaction
from producers.stream.view import View
from schemas.control import ControlEvent
from schemas.snapshot import Request, Segment, SnapshotState
from tests.unit.producers.simulated_worker import BrokenLawError
from tests.unit.producers.snapshot_simulation import SimulatedTable, SnapshotSimulation

SEEDS, PLANTED_SEEDS = 150, 400
Patch = Any


@pytest.fixture(autouse=True)
def quiet() -> None:
    """A simulation logs thousands of faults on purpose."""
    for name in ("producers.stream", "producers.snapshot"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def test_snapshots_converge_in_every_history() -> None:
    """Rows once, markers last, epochs in order, and a sink ends with the table's state, deletes in a gap included."""
    broken, complete = {}, 0
    for seed in range(1, SEEDS + 1):
        simulation = SnapshotSimulation(seed)
        try:
            simulation.run()
        except BrokenLawError as error:
            broken[seed] = str(error)
        complete += simulation.snapshot_state().completed_epoch > 0
    assert not broken, "repeat with: python -m tests.unit.producers.snapshot_simulation SEED"
    assert complete > SEEDS // 2, "most histories must have a snapshot, or nothing is shown"


def scan_at_once(patch: Patch) -> None:
    """10: the scan begins before every slot publishes under its epoch: rows overwrite newer changes."""
    patch.setattr(View, "missing_slots", lambda *_: [])


def stale_pages(patch: Patch) -> None:
    """10: pages are eventually consistent: a row is older than what the stream has told under the former epoch."""
    original, seen = SimulatedTable.page, dict[int, list[dict[str, int]]]()

    def page(self: SimulatedTable, *arguments: Any) -> Any:
        streams = self._simulation.streams
        now, history = dict(streams.items), seen.setdefault(id(streams), [{}])
        streams.items = history[-1]
        try:
            return original(self, *arguments)
        finally:
            streams.items = now
            history.append(now)

    patch.setattr(SimulatedTable, "page", page)


def position_before_delivery(patch: Patch) -> None:
    """11: how far the scan is, is remembered before its rows are committed."""
    patch.setattr(Reading, "rewind", lambda self: self.begin([_passed(segment) for segment in self.segments]))


def _passed(segment: Segment) -> Segment:
    return replace(segment, begun=True, ordinal=segment.ordinal + 1)


def begins_anew(patch: Patch) -> None:
    """9: a run that was killed begins anew: rows twice, and a large table never ends."""

    def segments_of(_: SnapshotState, request: Request) -> list[Segment]:
        return [Segment(number, request.epoch) for number in range(request.segments)]

    patch.setattr(SnapshotState, "segments_of", segments_of)


def gap_without_a_note(patch: Patch) -> None:
    """8: a gap is told, and nothing follows from it."""
    original = Transaction._tell

    def tell(self: Transaction, event: ControlEvent) -> None:
        log, self._log = self._log, _Deaf(self._log)  # type: ignore[assignment]
        try:
            original(self, event)
        finally:
            self._log = log

    patch.setattr(Transaction, "_tell", tell)


class _Deaf:
    """A log that does not write into the snapshot topic."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def publish(self, topic: str, *arguments: Any, **named: Any) -> None:
        """All but the notes."""
        if not topic.endswith(".snapshot"):
            self._log.publish(topic, *arguments, **named)


PLANTED = [
    scan_at_once,
    stale_pages,
    position_before_delivery,
    begins_anew,
    gap_without_a_note,
]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Some seed breaks a law while the bug is planted."""
    plant(monkeypatch)
    for seed in range(1, PLANTED_SEEDS + 1):
        try:
            SnapshotSimulation(seed).run()
        except BrokenLawError:
            return
    pytest.fail(f"{plant.__name__} was not caught by {PLANTED_SEEDS} seeds")
