"""``feed archive``: what the archive holds, searched and proven."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import Progress

from feed.cli.options import ConfigOption, load
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from connectors.s3 import ObjectStore
    from consumers.archive import Run

app = typer.Typer(no_args_is_help=True, help="List, read and verify the archive, by time of event and by order.")

From = Annotated[
    datetime | None, typer.Option("--from", help="Events from this time on, UTC, for example 2026-11-24T10:00:00.")
]
To = Annotated[datetime | None, typer.Option("--to", help="Events before this time, UTC.")]


@app.command(name="ls", epilog="Example: feed archive ls --from 2026-11-24T10:00:00 --to 2026-11-24T11:00:00")
def list_runs(config: ConfigOption = None, begin: From = None, end: To = None) -> None:
    """The archive's objects: minute, partition, first offset."""
    _, _, runs = _select(config, begin, end)
    for run in runs:
        at = datetime.fromtimestamp(run.minute * 60, UTC)
        typer.echo(f"{at:%Y-%m-%dT%H:%M}Z partition={run.partition} first={run.first} topic={run.topic}")


@app.command(epilog="Example: feed archive cat --order o-000017")
def cat(
    order: Annotated[str, typer.Option("--order", help="The order's id (the text of its key).")],
    config: ConfigOption = None,
    begin: From = None,
    end: To = None,
) -> None:
    """Every archived change of one order, a JSON line each, by minute of event and offset."""
    from consumers.archive import records_of_key  # noqa: PLC0415 - loads boto3 and pyarrow: not for `feed --help`
    from feed.run.codec import codec_of  # noqa: PLC0415
    from schemas.codec import Depth  # noqa: PLC0415

    store, prefix, runs = _select(config, begin, end)
    codec = codec_of(load(config))
    for record in records_of_key(store, prefix, runs, order.encode()):
        change = codec.decode(record.value() or b"", Depth.FULL)
        line = {
            "partition": record.partition(),
            "offset": record.offset(),
            "event_id": change.source.event_id,
            "op": change.op,
            "occurred_at": datetime.fromtimestamp(change.occurred_at_ms / 1000, UTC),
            "version": change.version.to_text(),
            "before": change.before,
            "after": change.after,
        }
        typer.echo(orjson.dumps(line, default=str).decode())


@app.command(epilog="Example: feed archive verify --from 2026-11-24T00:00:00")
def verify(config: ConfigOption = None, begin: From = None, end: To = None) -> None:
    """Whether every ordinal of every shard in the range is archived exactly once; exit code 1 when not."""
    from consumers.archive import verify_archive  # noqa: PLC0415 - loads boto3 and pyarrow: not for `feed --help`

    store, prefix, runs = _select(config, begin, end)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("objects", total=len(runs))
        report = verify_archive(store, prefix, runs, progress=lambda done, _: progress.update(task, completed=done))
    for fault in report.faults:
        typer.echo(f"fault: {fault}")
    for shard, holes in report.missing.items():
        typer.echo(f"missing ordinals of {shard}: " + ", ".join(f"{first}-{last}" for first, last in holes[:10]))
    for shard, ordinals in report.repeated.items():
        typer.echo(f"repeated ordinals of {shard}: {ordinals[:10]}")
    typer.echo(f"{'valid' if report.valid else 'NOT valid'}: {report.records} records in {report.runs} objects")
    raise typer.Exit(0 if report.valid else 1)


def _select(config: str | None, begin: datetime | None, end: datetime | None) -> tuple[ObjectStore, str, list[Run]]:
    from connectors.aws import AwsClients  # noqa: PLC0415 - loads boto3: not for `feed --help`
    from connectors.s3 import ObjectStore  # noqa: PLC0415
    from consumers.archive import all_runs  # noqa: PLC0415
    from feed.config.consumers import ArchiveConsumer  # noqa: PLC0415

    loaded = load(config)
    for section in loaded.consumers.values():
        if isinstance(section, ArchiveConsumer):
            store = ObjectStore(AwsClients(loaded.regions[section.region].aws).client("s3"), section.sink.bucket)
            prefix = section.sink.prefix
            from_ms, to_ms = _milliseconds(begin) or 0, _milliseconds(end)
            return store, prefix, all_runs(store, prefix, loaded.feed, from_ms=from_ms, to_ms=to_ms)
    raise ConfigError("feed.yaml has no consumer of kind archive", hint="add one under consumers")


def _milliseconds(at: datetime | None) -> int | None:
    return int(at.replace(tzinfo=UTC).timestamp() * 1000) if at is not None else None
