"""Time that stands still until it is moved."""

from __future__ import annotations

from collections.abc import Callable

EPOCH_MS = 1_800_000_000_000


class SimulatedClock:
    """Milliseconds since the epoch, and since the start."""

    def __init__(self) -> None:
        self.passed_ms = 1_000
        self._alarms: list[Callable[[], None]] = []

    def now_ms(self) -> int:
        """The time of day."""
        return EPOCH_MS + self.passed_ms

    def steady_ms(self) -> int:
        """Since the start."""
        return self.passed_ms

    def advance(self, ms: int) -> None:
        """Let time pass; whoever watches is told."""
        self.passed_ms += ms
        for alarm in self._alarms:
            alarm()

    def on_advance(self, alarm: Callable[[], None]) -> None:
        """Have ``alarm`` called whenever time passed."""
        self._alarms.append(alarm)
