"""``--kill``: each victim dies once by SIGKILL during the run, is started again, and its stall is measured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from schemas.errors import FeedError

WATCH_INTERVAL_S: Final = 0.02
STALL_BOUND_S: Final = 60.0
"""How long output may stand still before the stall is reported as endless."""

QUIET_S: Final = 5.0
"""Without output for so long after its return, a victim has nothing left to do."""

SETTLE_S: Final = 2.0
"""Output is back when it moved in both halves of a time this long: what was under way at the kill is no sign."""


@dataclass(frozen=True, slots=True)
class Victim:
    """Who is killed, how it comes back, and what shows that it works again."""

    name: str
    at_share: float
    """When, as a share of the run."""
    kill: Callable[[], None]
    restart: Callable[[], None]
    """Returns when the process is up again."""
    output: Callable[[], int]
    """A count that grows while the victim works; must answer while it is dead."""


@dataclass(slots=True)
class Stall:
    """What a kill cost."""

    name: str
    killed_at_s: float
    up_after_s: float = 0.0
    """From the kill until the process was up again."""
    moved_after_s: float | None = None
    """From the last output before or just after the kill to the next; None when it never moved again."""

    def to_line(self) -> str:
        """For a person."""
        moved = f"output stood still for {self.moved_after_s:.1f} s" if self.moved_after_s is not None else "NO OUTPUT"
        return f"{self.name}: killed -9 at {self.killed_at_s:.0f} s, up after {self.up_after_s:.1f} s, {moved}"


@dataclass(slots=True)
class Killer:
    """Kills each victim at its time, on a thread of its own: one stall does not hold up the next kill."""

    victims: Sequence[Victim]
    seconds: float
    """Length of the run."""
    say: Callable[[str], None]
    stalls: list[Stall] = field(default_factory=list)
    failures: list[FeedError] = field(default_factory=list)
    """A victim that did not come back."""
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin; the run begins now."""
        began_s = time.monotonic()
        for victim in self.victims:
            thread = threading.Thread(target=self._run, args=(victim, began_s), name=f"kill-{victim.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def finish(self) -> None:
        """Wait for the stalls that are still being measured."""
        for thread in self._threads:
            thread.join(2 * STALL_BOUND_S)

    def _run(self, victim: Victim, began_s: float) -> None:
        time.sleep(max(0.0, began_s + victim.at_share * self.seconds - time.monotonic()))
        try:
            self._kill(victim, began_s)
        except FeedError as error:
            self.failures.append(error)

    def _kill(self, victim: Victim, began_s: float) -> None:
        movements = Movements(victim.output)
        movements.start()
        killed_s = time.monotonic()
        stall = Stall(victim.name, killed_s - began_s)
        self.stalls.append(stall)
        victim.kill()
        self.say(f"killed -9: {victim.name}")
        try:
            victim.restart()
            stall.up_after_s = time.monotonic() - killed_s
            stall.moved_after_s = movements.longest_gap_s(killed_s, time.monotonic(), STALL_BOUND_S)
        finally:
            movements.close()
        self.say(stall.to_line())


class Movements:
    """Watches a count and notes when it grew."""

    def __init__(self, output: Callable[[], int]) -> None:
        self._output = output
        self._times: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="movements", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join(5)

    def longest_gap_s(self, since_s: float, up_s: float, bound_s: float) -> float | None:
        """Wait until the count moves again, then the longest time that it stood still from ``since_s`` on.

        It moves again when it moves steadily, or when it has moved since ``up_s`` and there is nothing left to do.
        """
        until_s = time.monotonic() + bound_s
        while time.monotonic() < until_s:
            now_s = time.monotonic()
            times = [moment for moment in list(self._times) if moment >= since_s]
            if is_steady(times, now_s) or is_done(times, up_s, now_s):
                return longest_gap(since_s, times)
            self._stop.wait(WATCH_INTERVAL_S)
        return None

    def _run(self) -> None:
        count = self._output()
        while not self._stop.wait(WATCH_INTERVAL_S):
            now = self._output()
            if now != count:
                count = now
                self._times.append(time.monotonic())


def is_steady(times: Sequence[float], now_s: float) -> bool:
    """Output came in each half of the last ``SETTLE_S``."""
    middle_s = now_s - SETTLE_S / 2
    return any(moment >= middle_s for moment in times) and any(
        now_s - SETTLE_S <= moment < middle_s for moment in times
    )


def is_done(times: Sequence[float], up_s: float, now_s: float) -> bool:
    """Output came after the victim was up, and then none for ``QUIET_S``: the backlog was worked off at once."""
    return bool(times) and times[-1] >= up_s and now_s - times[-1] > QUIET_S


def longest_gap(since_s: float, times: Sequence[float]) -> float:
    """The longest pause in ``times``, the one from ``since_s`` to the first included."""
    moments = [since_s, *times]
    return max(later - earlier for earlier, later in pairwise(moments))
