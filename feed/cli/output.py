"""Where commands print: as wide as the terminal, and wide enough for every column where there is none."""

from __future__ import annotations

import sys
from typing import Final

from rich.console import Console

PLAIN_WIDTH: Final = 160
"""Of tables that go to a file or a pipe: rich would take 80 there and cut most columns."""


def stdout() -> Console:
    """The console of standard output."""
    return Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
