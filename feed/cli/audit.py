"""``feed audit``: the audit log read and proven, with read rights to the bucket and without Kafka."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from feed.cli.audit_report import as_json, print_report
from feed.cli.options import ConfigOption, load, milliseconds
from feed.cli.output import stdout
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from connectors.aws import AwsClients
    from consumers.audit import AuditSettings

app = typer.Typer(no_args_is_help=True, help="Verify the audit log, and show the life of one order in it.")

PublicKey = Annotated[
    Path | None,
    typer.Option(help="PEM file with the public key of the digests; else the key that signs them is asked."),
]


From = Annotated[
    datetime | None, typer.Option("--from", help="What was stored from this time on, UTC, such as 2026-11-24T10:00:00.")
]
To = Annotated[datetime | None, typer.Option("--to", help="What was stored before this time, UTC.")]
Order = Annotated[
    str | None,
    typer.Option(
        "--order",
        help="Only this order (the text of its key): its chain to its ends, and the ordinals around its changes.",
    ),
]


@app.command(epilog="Example: feed audit verify --from 2026-11-24T10:00:00 --to 2026-11-24T11:00:00 --json audit.json")
def verify(
    *,
    config: ConfigOption = None,
    begin: From = None,
    end: To = None,
    order: Order = None,
    public_key: PublicKey = None,
    json_report: Annotated[Path | None, typer.Option("--json", help="Also write the report to this file.")] = None,
) -> None:
    """Verify chains, locks, digests, anchor and ordinals of the log, whole or in a range; exit code 1 on any fault."""
    from connectors.s3 import ObjectStore  # noqa: PLC0415 - loads boto3 and pyarrow: not for `feed --help`
    from consumers.audit import Wanted, anchor_of, verify_log  # noqa: PLC0415

    topic, partitions, settings, aws = _audit_of(config)
    wanted = Wanted(
        topic,
        now=datetime.now(UTC),
        public_key=public_key.read_bytes() if public_key else _own_public_key(settings, aws),
        anchor=anchor_of(settings, aws),
        from_ms=milliseconds(begin),
        to_ms=milliseconds(end),
        key=order.encode() if order is not None else None,
        partitions=partitions,
    )
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("segments", total=None)
        report = verify_log(
            ObjectStore(aws.client("s3"), settings.bucket),
            settings.prefix,
            wanted,
            progress=lambda done, known: progress.update(task, completed=done, total=known),
        )
    if json_report is not None:
        json_report.write_text(json.dumps(as_json(report), indent=2) + "\n", encoding="utf-8")
    print_report(report, stdout(), order)
    raise typer.Exit(0 if report.valid else 1)


@app.command(epilog="Example: feed audit show o-000017")
def show(
    key: Annotated[str, typer.Argument(help="The order's id (the text of its key).")], config: ConfigOption = None
) -> None:
    """Every change of one order in the log, with the segment that proves it."""
    from connectors.s3 import ObjectStore  # noqa: PLC0415 - loads boto3 and pyarrow: not for `feed --help`
    from consumers.audit import history_of  # noqa: PLC0415
    from feed.run.codec import codec_of  # noqa: PLC0415
    from schemas.codec import Depth  # noqa: PLC0415
    from schemas.headers import facts_of  # noqa: PLC0415

    topic, _, settings, aws = _audit_of(config)
    codec = codec_of(load(config))
    table = Table("happened (UTC)", "op", "image after", "event id", "offset", "segment", "sha256")
    for proven in history_of(ObjectStore(aws.client("s3"), settings.bucket), settings.prefix, topic, key.encode()):
        record = proven.record
        facts = facts_of(record.headers())
        after = codec.decode(record.value() or b"", Depth.AFTER).after or {}
        state = " ".join(str(after[name]) for name in ("status", "revision") if name in after)
        at = datetime.fromtimestamp(facts.occurred_at_ms / 1000, UTC).isoformat(sep=" ", timespec="seconds")[:-6]
        place = f"p{record.partition()}#{proven.link.number}"
        table.add_row(at, facts.op, state, facts.event_id, str(record.offset()), place, proven.link.sha256[:16])
    stdout().print(table)
    raise typer.Exit(0 if table.row_count else 1)


def _audit_of(config: str | None) -> tuple[str, int, AuditSettings, AwsClients]:
    """The feed's topic and its partitions, its audit consumer's settings, and the AWS services of its region."""
    from connectors.aws import AwsClients  # noqa: PLC0415 - loads boto3: not for `feed --help`
    from feed.config.consumers import AuditConsumer  # noqa: PLC0415

    loaded = load(config)
    for section in loaded.consumers.values():
        if isinstance(section, AuditConsumer):
            aws = AwsClients(loaded.regions[section.region].aws)
            return loaded.feed, loaded.topic.partitions, section.sink, aws
    raise ConfigError("feed.yaml has no consumer of kind audit", hint="add one under consumers; docs/configuration.md")


def _own_public_key(settings: AuditSettings, aws: AwsClients) -> bytes | None:
    from consumers.audit import signer_of  # noqa: PLC0415 - loads boto3: not for `feed --help`

    if settings.signing_key_file is not None and not settings.signing_key_file.exists():
        return None  # a verification makes no key
    signer = signer_of(settings, aws)
    return signer.public_key() if signer is not None else None
