"""``feed audit``: the audit log read and proven, with read rights to the bucket and without Kafka."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from feed.cli.options import ConfigOption, load
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from connectors.aws import AwsClients
    from consumers.audit import AuditSettings, LogReport

app = typer.Typer(no_args_is_help=True, help="Verify the audit log, and show the life of one order in it.")

PublicKey = Annotated[
    Path | None,
    typer.Option(help="PEM file with the public key of the digests; else the key that signs them is asked."),
]


@app.command(epilog="Example: feed audit verify -c feed.yaml --json audit.json")
def verify(
    *,
    config: ConfigOption = None,
    public_key: PublicKey = None,
    json_report: Annotated[Path | None, typer.Option("--json", help="Also write the report to this file.")] = None,
) -> None:
    """Verify every chain, lock, digest and ordinal of the log; exit code 1 on any fault."""
    from connectors.s3 import ObjectStore  # noqa: PLC0415 - loads boto3 and pyarrow: not for `feed --help`
    from consumers.audit import anchor_of, verify_log  # noqa: PLC0415

    topic, settings, aws = _audit_of(config)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("partitions", total=None)
        report = verify_log(
            ObjectStore(aws.client("s3"), settings.bucket),
            settings.prefix,
            topic,
            now=datetime.now(UTC),
            public_key=public_key.read_bytes() if public_key else _own_public_key(settings, aws),
            anchor=anchor_of(settings, aws),
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if json_report is not None:
        json_report.write_text(json.dumps(_as_json(report), indent=2) + "\n", encoding="utf-8")
    _print(report, Console())
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

    topic, settings, aws = _audit_of(config)
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
    Console().print(table)
    raise typer.Exit(0 if table.row_count else 1)


def _audit_of(config: str | None) -> tuple[str, AuditSettings, AwsClients]:
    """The feed's topic, its audit consumer's settings, and the AWS services of its region."""
    from connectors.aws import AwsClients  # noqa: PLC0415 - loads boto3: not for `feed --help`
    from feed.config.consumers import AuditConsumer  # noqa: PLC0415

    loaded = load(config)
    for section in loaded.consumers.values():
        if isinstance(section, AuditConsumer):
            return loaded.feed, section.sink, AwsClients(loaded.regions[section.region].aws)
    raise ConfigError("feed.yaml has no consumer of kind audit", hint="add one under consumers; docs/configuration.md")


def _own_public_key(settings: AuditSettings, aws: AwsClients) -> bytes | None:
    from consumers.audit import signer_of  # noqa: PLC0415 - loads boto3: not for `feed --help`

    if settings.signing_key_file is not None and not settings.signing_key_file.exists():
        return None  # a verification makes no key
    signer = signer_of(settings, aws)
    return signer.public_key() if signer is not None else None


def _print(report: LogReport, console: Console) -> None:
    table = Table("partition", "segments", "records", "MB", "head", "sha256 of the head", "found")
    for chain in report.chains:
        head = chain.head
        table.add_row(
            str(chain.partition.number),
            str(chain.segments),
            str(chain.records),
            f"{chain.size / 1e6:.1f}",
            str(head.number) if head else "-",
            head.sha256[:16] if head else "-",
            "valid" if chain.valid else ", ".join(sorted({str(finding.status) for finding in chain.findings})),
        )
    console.print(table)
    for finding in report.findings:
        console.print(f"[red]{finding.status}[/] {finding.name}: {finding.detail}", highlight=False, soft_wrap=True)
    for shard, holes in report.missing.items():
        spans = ", ".join(f"{first}-{last}" for first, last in holes[:10])
        console.print(f"[red]missing[/] ordinals of {shard}: {spans}", highlight=False, soft_wrap=True)
    for shard, ordinals in report.repeated.items():
        console.print(f"[red]repeated[/] ordinals of {shard}: {ordinals[:10]}", highlight=False, soft_wrap=True)
    records = sum(chain.records for chain in report.chains)
    verdict = "[green]valid[/]" if report.valid else "[red]NOT valid[/]"
    console.print(f"{verdict}: {records} records, {report.digests} digests", highlight=False)


def _as_json(report: LogReport) -> dict[str, object]:
    return {
        "valid": report.valid,
        "digests": report.digests,
        "findings": [asdict(finding) for finding in report.findings],
        "missing_ordinals": report.missing,
        "repeated_ordinals": report.repeated,
        "chains": [
            {
                "partition": chain.partition.number,
                "topic_id": chain.partition.topic_id,
                "segments": chain.segments,
                "records": chain.records,
                "head": asdict(chain.head) if chain.head else None,
            }
            for chain in report.chains
        ],
    }
