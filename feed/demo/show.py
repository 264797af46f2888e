"""What a person sees while a demo runs: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live

from feed.demo.live import Snapshot, plain, render

PLAIN_INTERVAL_S: Final = 5.0
LIVE_PER_SECOND: Final = 2


class Show:
    """Prints lines, and snapshots between them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._printed_s = 0.0

    def say(self, line: str) -> None:
        """One line; it stays above the live table."""
        self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def update(self, snapshot: Snapshot) -> None:
        """A new moment."""
        if self._live is not None:
            self._live.update(render(snapshot))
        elif time.monotonic() - self._printed_s >= PLAIN_INTERVAL_S:
            self._printed_s = time.monotonic()
            self.say(plain(snapshot))

    def last(self, snapshot: Snapshot) -> None:
        """The moment that stays on the screen."""
        if self._live is not None:
            self._live.update(render(snapshot), refresh=True)
        else:
            self._console.print(render(snapshot))

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=LIVE_PER_SECOND, transient=False)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)
            self._live = None
