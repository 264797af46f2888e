"""``feed archive``: its bucket, what it holds, searched and proven."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import Progress

from feed.cli.options import ConfigOption, load, milliseconds
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from connectors.aws import AwsClients
    from connectors.s3 import BucketPlan, BucketSpec, ObjectStore
    from consumers.archive import ArchiveReport, ArchiveSettings, Run

app = typer.Typer(no_args_is_help=True, help="The archive: its bucket, its objects by time and by order, its proof.")

From = Annotated[
    datetime | None, typer.Option("--from", help="Events from this time on, UTC, for example 2026-11-24T10:00:00.")
]
To = Annotated[datetime | None, typer.Option("--to", help="Events before this time, UTC.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


@dataclass(frozen=True)
class Archive:
    """The archive that a configuration names."""

    store: ObjectStore
    settings: ArchiveSettings
    topic: str
    partitions: int
    aws: AwsClients

    @property
    def prefix(self) -> str:
        """First part of the objects' names."""
        return self.settings.prefix

    def runs(self, begin: datetime | None, end: datetime | None, *, partition: int | None = None) -> list[Run]:
        """The objects of a range of time, of one partition where it is given."""
        from consumers.archive import partitions_in, runs_in  # noqa: PLC0415 - loads boto3: not for `feed --help`

        found = [
            run
            for at in partitions_in(self.store, self.prefix, topic=self.topic)
            if partition is None or at.number == partition
            for run in runs_in(self.store, self.prefix, at, from_ms=milliseconds(begin) or 0, to_ms=milliseconds(end))
        ]
        return sorted(found, key=lambda run: (run.minute, run.partition, run.first))


@app.command(name="plan", epilog="Example: feed archive plan -c feed.yaml")
def plan(config: ConfigOption = None) -> None:
    """Show what apply would do with the bucket, and change nothing; exit code 1 when it would refuse."""
    found = _plan_of(_archive_of(config))
    _print_plan(found)
    raise typer.Exit(1 if found.refused else 0)


@app.command(epilog="Example: feed archive apply -c feed.yaml")
def apply(config: ConfigOption = None) -> None:
    """Create or correct the bucket: private, objects expire after 90 days; as often as you like."""
    from connectors.s3 import apply_bucket_plan  # noqa: PLC0415 - loads boto3: not for `feed --help`

    found = _plan_of(_archive_of(config))
    _print_plan(found)
    apply_bucket_plan(found)


@app.command(name="index", epilog="Example: feed archive index --from 2026-11-24T00:00:00")
def write_indexes(config: ConfigOption = None, begin: From = None, end: To = None) -> None:
    """Write the indexes that are missing in a range; the archive's consumer does it by itself as hours end."""
    from consumers.archive import ensure_index  # noqa: PLC0415 - loads boto3 and pyarrow: not for `feed --help`

    archive = _archive_of(config)
    hours = sorted(
        {(run.at, run.minute // 60) for run in archive.runs(begin, end)}, key=lambda one: (one[1], one[0].number)
    )
    with _progress("hours", len(hours)) as advance:
        written = 0
        for at, hour in hours:
            written += ensure_index(archive.store, archive.prefix, at, hour) is not None
            advance()
    typer.echo(f"{written} indexes written, {len(hours) - written} were there")


@app.command(name="ls", epilog="Example: feed archive ls --from 2026-11-24T10:00:00 --to 2026-11-24T11:00:00")
def list_runs(config: ConfigOption = None, begin: From = None, end: To = None) -> None:
    """The archive's objects: minute, partition, first offset."""
    for run in _archive_of(config).runs(begin, end):
        at = datetime.fromtimestamp(run.minute * 60, UTC)
        typer.echo(f"{at:%Y-%m-%dT%H:%M}Z partition={run.partition} first={run.first} topic={run.topic}")


@app.command(epilog="Example: feed archive cat --order o-000017 --from 2026-11-01T00:00:00")
def cat(
    order: Annotated[str, typer.Option("--order", help="The order's id (the text of its key).")],
    config: ConfigOption = None,
    begin: From = None,
    end: To = None,
    any_partition: Annotated[
        bool,
        typer.Option(help="Look in every partition, not only where the key is now: after a topic got more partitions."),
    ] = False,
) -> None:
    """Every archived change of one order, a JSON line each, by minute of event and offset."""
    from consumers.archive import records_of_key, runs_of_key  # noqa: PLC0415 - loads boto3: not for `feed --help`
    from consumers.columns import partition_of_key  # noqa: PLC0415
    from feed.run.codec import codec_of  # noqa: PLC0415

    archive, key = _archive_of(config), order.encode()
    partition = None if any_partition else partition_of_key(key, archive.partitions)
    runs = archive.runs(begin, end, partition=partition)
    codec = codec_of(load(config))
    held = runs_of_key(archive.store, archive.prefix, runs, key)
    for record in records_of_key(archive.store, archive.prefix, held, key):
        typer.echo(orjson.dumps(_line(record, codec), default=str).decode())


@app.command(epilog="Example: feed archive verify --from 2026-11-24T00:00:00 --json")
def verify(config: ConfigOption = None, begin: From = None, end: To = None, as_json: AsJson = False) -> None:
    """Whether every ordinal of every shard in the range is archived once or declared refused; exit code 1 when not."""
    from consumers.archive import declared_in_archive, verify_archive  # noqa: PLC0415 - loads boto3 and pyarrow
    from consumers.archive.search import BESIDE_MS, SETTLING_MS  # noqa: PLC0415

    archive = _archive_of(config)
    runs = archive.runs(begin, end)
    beside = archive.runs(_shifted(begin, -BESIDE_MS), _shifted(end, BESIDE_MS)) if begin or end else []
    with _progress("objects", len(runs)) as advance:
        report = verify_archive(
            archive.store,
            archive.prefix,
            runs,
            beside=sorted(set(beside) - set(runs)),
            declared=declared_in_archive(archive.store, archive.prefix, archive.topic),
            ended_before_ms=0 if end else int(datetime.now(UTC).timestamp() * 1000) - SETTLING_MS,
            progress=lambda done, of: advance(),  # noqa: ARG005 - each call is one object more
        )
    if as_json:
        typer.echo(orjson.dumps(_as_json(report), option=orjson.OPT_INDENT_2).decode())
    else:
        _print_report(report)
    raise typer.Exit(0 if report.valid else 1)


def _archive_of(config: str | None) -> Archive:
    from connectors.aws import AwsClients  # noqa: PLC0415 - loads boto3: not for `feed --help`
    from connectors.s3 import ObjectStore  # noqa: PLC0415
    from feed.config.consumers import ArchiveConsumer  # noqa: PLC0415

    loaded = load(config)
    for section in loaded.consumers.values():
        if isinstance(section, ArchiveConsumer):
            aws = AwsClients(loaded.regions[section.region].aws)
            store = ObjectStore(aws.client("s3"), section.sink.bucket)
            return Archive(store, section.sink, loaded.feed, loaded.topic.partitions, aws)
    raise ConfigError("feed.yaml has no consumer of kind archive", hint="add one under consumers")


def _plan_of(archive: Archive) -> BucketPlan:
    from connectors.s3 import plan_expiring_bucket  # noqa: PLC0415 - loads boto3: not for `feed --help`

    return plan_expiring_bucket(archive.store.client, _spec_of(archive))


def _spec_of(archive: Archive) -> BucketSpec:
    from connectors.s3 import BucketSpec  # noqa: PLC0415 - loads boto3: not for `feed --help`

    settings = archive.settings
    # the prefix without a closing slash: the indexes beside the objects expire as well
    return BucketSpec(
        settings.bucket, archive.aws.settings.region, expire_days=settings.expire_days, expire_prefix=settings.prefix
    )


def _print_plan(plan: BucketPlan) -> None:
    for step in plan.steps:
        typer.echo(f"{plan.bucket}: {step.what}")
    for reason in plan.refused:
        typer.echo(f"{plan.bucket}: REFUSED {reason}")
    for note in plan.notes:
        typer.echo(f"{plan.bucket}: note: {note}")
    if not plan.steps and not plan.refused:
        typer.echo(f"{plan.bucket}: nothing to do")


def _line(record: Any, codec: Any) -> dict[str, object]:
    from schemas.codec import Depth  # noqa: PLC0415 - not for `feed --help`

    change = codec.decode(record.value() or b"", Depth.FULL)
    return {
        "partition": record.partition(),
        "offset": record.offset(),
        "event_id": change.source.event_id,
        "op": change.op,
        "occurred_at": datetime.fromtimestamp(change.occurred_at_ms / 1000, UTC),
        "version": change.version.to_text(),
        "before": change.before,
        "after": change.after,
    }


def _print_report(report: ArchiveReport) -> None:
    for fault in report.faults:
        typer.echo(f"fault: {fault}")
    for shard, holes in report.missing.items():
        typer.echo(f"missing ordinals of {shard}: " + ", ".join(f"{first}-{last}" for first, last in holes[:10]))
    for shard, ordinals in report.repeated.items():
        typer.echo(f"repeated ordinals of {shard}: {ordinals[:10]}")
    for refused in report.ordinals.declared[:50]:
        typer.echo(f"declared refused: {refused.shard} ordinal {refused.ordinal}: {refused.reason}")
    for gap in report.ordinals.gaps[:50]:
        typer.echo(f"declared gap: {gap}")
    typer.echo(f"{'valid' if report.valid else 'NOT valid'}: {report.records} records in {report.runs} objects")


def _as_json(report: ArchiveReport) -> dict[str, object]:
    return {
        "valid": report.valid,
        "objects": report.runs,
        "records": report.records,
        "changes": report.ordinals.changes,
        "faults": report.faults,
        "missing_ordinals": report.missing,
        "repeated_ordinals": report.repeated,
        "declared_ordinals": [asdict(refused) for refused in report.ordinals.declared],
        "declared_gaps": report.ordinals.gaps,
    }


def _shifted(at: datetime | None, by_ms: int) -> datetime | None:
    at_ms = milliseconds(at)
    return None if at_ms is None else datetime.fromtimestamp((at_ms + by_ms) / 1000, UTC)


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error; gives what advances it by one."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
