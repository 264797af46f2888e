"""``feed snapshot``: a first load of the table, or a reload after a gap."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from feed.cli.options import ConfigOption, load
from feed.cli.output import stdout

if TYPE_CHECKING:
    from producers import snapshot as producer

PLAIN_EVERY_ROWS = 50_000
"""Without a terminal: a line at each change of stage, and after so many rows."""


def snapshot(
    config: ConfigOption = None,
    segments: Annotated[
        int | None, typer.Option("--segments", min=1, help="Parts scanned side by side; else snapshot.segments.")
    ] = None,
    read_units: Annotated[
        int | None,
        typer.Option("--read-units", min=1, help="Read units a second; else snapshot.read_units_per_second."),
    ] = None,
    log_level: Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")] = "warning",
) -> None:
    """Publish every item of the table as a row, while the stream flows on; what is not there any more is told too.

    It raises the epoch, waits until every slot of the producer publishes under it, scans, and marks the end. Killed at
    any moment, it goes on where it was when it is run again: every row is published once.
    """
    from feed.run.process import configure_logging  # noqa: PLC0415 - not for `feed --help`
    from feed.run.snapshot import SnapshotCommand  # noqa: PLC0415 - as above

    loaded = load(config)
    changed = {"segments": segments, "read_units_per_second": read_units}
    given = {name: value for name, value in changed.items() if value is not None}
    loaded = loaded.model_copy(update={"snapshot": loaded.snapshot.model_copy(update=given)})
    configure_logging(log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    console = stdout()
    with _Bar(console) as bar:
        command = SnapshotCommand(loaded, bar.show, stop)
        bar.expect(command.check())
        ended = command.run()
    if stop.is_set():
        console.print("stopped; run it again to go on", highlight=False)
        raise typer.Exit(1)
    console.print(
        f"snapshot complete: epoch {ended.epoch}, {ended.rows - ended.refused} rows, {ended.refused} in the dead "
        f"letters, {ended.dropped} left out by the filter, {ended.units:.0f} read units",
        highlight=False,
        soft_wrap=True,
    )


class _Bar:
    """A progress bar in a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self._task = self._progress.add_task("begins", total=None)
        self._said, self._said_rows = "", 0

    def expect(self, items: int) -> None:
        """About so many items are to come; 0: nobody knows."""
        self._progress.update(self._task, total=items or None)

    def show(self, progress: producer.Progress) -> None:
        """A new moment."""
        text = describe(progress)
        self._progress.update(self._task, description=text, completed=progress.rows + progress.dropped)
        if self._console.is_terminal:
            return
        if text != self._said or progress.rows - self._said_rows >= PLAIN_EVERY_ROWS:
            self._said, self._said_rows = text, progress.rows
            self._console.print(f"{text}: {progress.rows} rows", highlight=False, soft_wrap=True, markup=False)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._progress.stop()


def describe(progress: producer.Progress) -> str:
    """What a run is at, in words."""
    if progress.missing_slots:
        slots = ", ".join(str(slot) for slot in progress.missing_slots)
        return f"waiting for slots {slots} to publish under epoch {progress.epoch} (does a producer run?)"
    if progress.stage in {"scanning", "done"}:
        return f"epoch {progress.epoch}, {progress.segments_done} of {progress.segments} segments"
    return str(progress.stage)
