"""How the command ends when something is wrong: one sentence a fault, a hint, an exit code; never a traceback."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from schemas.errors import ConfigError, FeedError

EXIT_FAILED = 1
"""The work was done and found something wrong, or could not go on."""

EXIT_CONFIG = 2
"""What the user wrote, or the machine, cannot work; nothing was started or changed."""


def report(error: FeedError, console: Console) -> int:
    """Print an error for a person; returns the exit code."""
    faults = error.faults if isinstance(error, ConfigError) else (str(error),)
    for fault in faults:
        console.print(f"[bold red]error[/] {escape(fault)}", highlight=False, soft_wrap=True)
    console.print(f"[bold]hint[/]  {escape(error.hint)}", highlight=False, soft_wrap=True)
    return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED
