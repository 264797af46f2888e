"""Where a simulation may interfere: named points of a worker's life, at which it is killed, frozen or left alone."""

from __future__ import annotations

from collections.abc import Callable


class CrashedError(BaseException):
    """The process is gone, kill -9: no handler of the program may see it, so it is no ``Exception``."""


class Faults:
    """Calls a hook at named points; it may raise :class:`CrashedError`, or let time and others go on meanwhile."""

    def __init__(self, hook: Callable[[str], None] | None = None) -> None:
        self._hook = hook

    def at(self, point: str) -> None:
        """The program is at ``point``."""
        if self._hook is not None:
            self._hook(point)
