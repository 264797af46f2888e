"""``feed mirror``: MirrorMaker's files rendered from feed.yaml, and anyone's files read by the doctor."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from feed.cli.options import ConfigOption, load
from feed.run.flows import ClusterFacts, flows_of
from mirrormaker import Delivery, Deployment, Form, StrimziDeployment
from mirrormaker import render as render_form
from mirrormaker.doctor import KafkaVersion, Severity, diagnose
from mirrormaker.doctor import explain as explain_files
from mirrormaker.doctor.explain import as_json, as_text
from mirrormaker.doctor.reference import rules_list, rules_table
from schemas.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="MirrorMaker 2: render its files, examine anyone's, watch the copies.")

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE…", help="mm2.properties, connectors' JSON, Strimzi YAML, IAM policies; - is standard input."
    ),
]
Version = Annotated[
    str | None,
    typer.Option(
        "--kafka-version", help="Kafka's version, like 3.9; else the one that the files name, else the latest."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
FormOption = Annotated[Form, typer.Option(help="How MirrorMaker is run, which decides its topics' names.")]
RegionOption = Annotated[str | None, typer.Option(help="Only the mirror to this region; else every one.")]


@app.command(epilog="Example: feed mirror render --form strimzi --image my/strimzi-iam:1 --out deploy/mirror")
def render(
    *,
    config: ConfigOption = None,
    form: Annotated[Form, typer.Option(help="How MirrorMaker is run.")] = Form.DEDICATED,
    region: Annotated[str | None, typer.Option(help="Only the mirror to this region; else every one.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; else the files are printed.")] = None,
    accept_duplicates: Annotated[
        bool, typer.Option("--accept-duplicates", help="Also render a form that can repeat records after a failure.")
    ] = False,
    listener: Annotated[str, typer.Option(help="Where nodes reach each other, like http://10.0.0.5:8083.")] = "",
    role_arn: Annotated[str, typer.Option(help="msk-connect, msk-replicator: the service execution role.")] = "",
    plugin_arn: Annotated[str, typer.Option(help="msk-connect: the custom plugin.")] = "",
    source_arn: Annotated[str, typer.Option(help="MSK's ARN of the source cluster, for policies.")] = "",
    target_arn: Annotated[str, typer.Option(help="MSK's ARN of the target cluster (with --region).")] = "",
    source_subnet: Annotated[list[str] | None, typer.Option(help="msk-replicator: subnets at the source.")] = None,
    target_subnet: Annotated[list[str] | None, typer.Option(help="msk-*: subnets at the target.")] = None,
    source_security_group: Annotated[list[str] | None, typer.Option(help="msk-replicator: at the source.")] = None,
    target_security_group: Annotated[list[str] | None, typer.Option(help="msk-*: at the target.")] = None,
    namespace: Annotated[str, typer.Option(help="strimzi: the Kubernetes namespace.")] = "",
    image: Annotated[str, typer.Option(help="strimzi: an image that has aws-msk-iam-auth.")] = "",
) -> None:
    """Write MirrorMaker's complete files, each key with its reason, and the policies that they need."""
    source = ClusterFacts(source_arn, tuple(source_subnet or ()), tuple(source_security_group or ()))
    target = ClusterFacts(target_arn, tuple(target_subnet or ()), tuple(target_security_group or ()))
    flows = flows_of(load(config), region=region, source=source, target=target)
    place = Deployment(
        rest_listener=listener,
        service_execution_role_arn=role_arn,
        plugin_arn=plugin_arn,
        strimzi=StrimziDeployment(namespace=namespace, image=image),
    )
    accepted = Delivery.AT_LEAST_ONCE if accept_duplicates else Delivery.ONCE
    rendered = [(flow, render_form(form, flow, place, accepted=accepted)) for flow in flows]
    for flow, one in rendered:
        typer.echo(f"{flow.name}: {form}, {one.guarantee.delivery}. {one.guarantee.why}", err=True)
        for name, text in one.files.items():
            _write(out, name, text)


@app.command(epilog="Example: feed mirror doctor mm2.properties --kafka-version 3.9 --fail-on loss")
def doctor(
    files: Files,
    *,
    kafka_version: Version = None,
    json_output: AsJson = False,
    fail_on: Annotated[Severity, typer.Option(help="The mildest harm that makes the exit code 1.")] = Severity.SURPRISE,
    runs_beside: Annotated[str, typer.Option(help="Alias of the cluster that MirrorMaker runs next to.")] = "",
    managed: Annotated[str, typer.Option(help="msk-connect, when it runs there.")] = "",
    advice: Annotated[bool, typer.Option(help="Also show what depends on things outside the file.")] = True,
) -> None:
    """Say what really happens with these files: lost, repeated, stalled, ignored; with the fix and the source.

    Files of one flow (worker, source and checkpoint connector) are judged together. Exit code 0: nothing as bad as
    --fail-on; 1: something is; 2: a file cannot be read.
    """
    report = diagnose(_read(files), version=_version(kafka_version), runs_beside=runs_beside, managed=managed)
    shown = report if advice else report.without_advice()
    typer.echo(json.dumps(shown.as_json(), indent=2) if json_output else shown.as_text(), nl=json_output)
    if report.failing(fail_on):
        raise typer.Exit(1)


@app.command(epilog="Example: feed mirror explain mm2.properties")
def explain(files: Files, kafka_version: Version = None, json_output: AsJson = False) -> None:
    """Show what would start: herders, connectors, topics created where, and each setting with the line it came from."""
    starts = explain_files(_read(files), version=_version(kafka_version))
    typer.echo(json.dumps(as_json(starts), indent=2) if json_output else as_text(starts), nl=json_output)


def _version(text: str | None) -> KafkaVersion | None:
    return KafkaVersion.parse(text) if text else None


def _write(out: Path | None, name: str, text: str) -> None:
    if out is None:
        typer.echo(f"##### {name}")
        typer.echo(text)
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / name).write_text(text, encoding="utf-8")
    if name.endswith(".sh"):
        (out / name).chmod(0o755)
    typer.echo(f"wrote {out / name}", err=True)


def _read(files: list[str]) -> dict[str, str]:
    texts = {}
    for name in files:
        try:
            texts[name] = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{name} cannot be read: {error}.", hint="Name a text file, or - for standard input."
            ) from error
    return texts


@app.command(epilog="Example: feed mirror gaps --region us")
def gaps(*, config: ConfigOption = None, region: RegionOption = None, json_output: AsJson = False) -> None:
    """List the gap events that audits wrote beside the copies: what a copy lacks, repeats or holds in another order.

    Exit code 1 when there are any.
    """
    from feed.cli import mirror_gaps  # noqa: PLC0415 - of no use to the doctor

    if mirror_gaps.show(load(config), region, as_json=json_output):
        raise typer.Exit(1)


@app.command(epilog="Example: feed mirror audit --region us --once")
def audit(
    *,
    config: ConfigOption = None,
    region: Annotated[str | None, typer.Option(help="Only the mirror to this region; else every one.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Compare what the source holds now, and end.")] = False,
    state_dir: Annotated[
        Path | None, typer.Option(help="Folder to go on from; without it all that both sides hold is compared.")
    ] = None,
    settle_s: Annotated[float, typer.Option(help="--once: a copy that does not move for so long is behind.")] = 20.0,
    stall_s: Annotated[float, typer.Option(help="So long a record may wait for its copy before health is red.")] = 60.0,
    metrics_port: Annotated[int | None, typer.Option(help="Port of /metrics and /healthz; else feed.yaml's.")] = None,
    gaps: Annotated[
        bool | None,
        typer.Option(
            "--gaps/--no-gaps",
            help="Write differences as gap events to <feed>.mirror-audit; by default without --once.",
        ),
    ] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="Differences that the state has are known: be green.")
    ] = False,
    json_output: AsJson = False,
) -> None:
    """Prove that the copies are their originals, record by record and in order, or say where they are not.

    And that each is complete by its shards' ordinals. Reads both sides' committed records; writes gap events beside the
    copy, and nothing else. Exit code 1: a copy differs.
    """
    # heavy, and of no use to the doctor
    from feed.cli import mirror_audit  # noqa: PLC0415
    from feed.run.process import process  # noqa: PLC0415
    from mirrormaker.audit import AuditMetrics  # noqa: PLC0415

    settings = load(config)
    name = f"{settings.feed}-mirror-audit"
    with process(name, settings.telemetry, port=metrics_port, log_level="warning" if once else "info") as running:
        telemetry = running.telemetry
        metrics = AuditMetrics(telemetry.registry)
        stall_after_ms = round(stall_s * 1000)
        with mirror_audit.audits(
            settings,
            region,
            metrics=metrics,
            health=telemetry.health,
            stall_after_ms=stall_after_ms,
            state_dir=state_dir,
            gaps=not once if gaps is None else gaps,
        ) as found:
            telemetry.readiness.set("audit", ok=True, reason="compares")
            for one in found if forget else ():
                one.forget_differences()
            if once:
                verdicts = mirror_audit.run_once(found, settle_ms=round(settle_s * 1000))
            else:
                verdicts = mirror_audit.run_on(found, running)
    mirror_audit.print_verdicts(verdicts, as_json=json_output)
    if not all(verdict.equal for verdict in verdicts):
        raise typer.Exit(1)


@app.command(epilog="Example: feed mirror status --region us")
def status(
    *,
    config: ConfigOption = None,
    region: RegionOption = None,
    form: FormOption = Form.DEDICATED,
    stall_s: Annotated[float, typer.Option(help="So long a record may wait for its copy.")] = 60.0,
    sample_s: Annotated[float, typer.Option(help="For so long the pace is measured; 0: not at all.")] = 3.0,
    json_output: AsJson = False,
) -> None:
    """Show each flow's tasks, how far each partition was copied and how fast, from the topics that MirrorMaker keeps.

    And from its process's metrics, where mirrors[].metrics_url says where they are. Exit code 1: a task is not running,
    or a record waits for too long.
    """
    from feed.cli import mirror_status  # noqa: PLC0415 - of no use to the doctor

    stall_after_ms = round(stall_s * 1000)
    faults = mirror_status.show(
        load(config), region, form, stall_after_ms=stall_after_ms, sample_s=sample_s, as_json=json_output
    )
    if faults:
        raise typer.Exit(1)


@app.command(epilog="Example: feed mirror watch --region us --metrics-port 9406")
def watch(
    *,
    config: ConfigOption = None,
    region: RegionOption = None,
    form: FormOption = Form.DEDICATED,
    stall_s: Annotated[float, typer.Option(help="So long a record may wait for its copy before health is red.")] = 60.0,
    every_s: Annotated[float, typer.Option(help="How often the flows are asked.")] = 10.0,
    metrics_port: Annotated[int | None, typer.Option(help="Port of /metrics and /healthz; else feed.yaml's.")] = None,
) -> None:
    """Serve each flow's tasks and lag at /metrics and /healthz, until stopped; asks nothing of MirrorMaker itself.

    Red while a task is not running, a record waits for too long, or a cluster does not answer.
    """
    from feed.cli import mirror_status  # noqa: PLC0415 - of no use to the doctor
    from feed.run.process import process  # noqa: PLC0415 - as above
    from mirrormaker.status import StatusWatch  # noqa: PLC0415 - as above

    settings = load(config)
    with process(f"{settings.feed}-mirror-watch", settings.telemetry, port=metrics_port, log_level="info") as running:
        telemetry = running.telemetry
        telemetry.readiness.set("watch", ok=True, reason="asks")
        watching = StatusWatch(telemetry.registry, telemetry.health, stall_after_ms=round(stall_s * 1000))
        mirror_status.watch(settings, region, form, watching=watching, running=running, every_s=every_s)


@app.command(epilog="Example: feed mirror failover --to us --group orders.audit --apply")
def failover(
    *,
    config: ConfigOption = None,
    to: Annotated[str, typer.Option(help="The region whose copy the groups go on with.")],
    group: Annotated[
        list[str] | None, typer.Option(help="A group that moves; by default every one that has a checkpoint there.")
    ] = None,
    planned: Annotated[
        bool, typer.Option("--planned", help="The source is there and its groups were stopped on purpose.")
    ] = False,
    move_back: Annotated[
        bool, typer.Option("--move-back", help="A group may begin before what it has committed there already.")
    ] = False,
    execute: Annotated[
        bool, typer.Option("--apply", help="Commit the offsets; without it nothing is changed.")
    ] = False,
    json_output: AsJson = False,
) -> None:
    """The source region is gone: plan where its groups go on in a copy, and how much each reads again at most.

    Offsets are those that MirrorMaker translated, never ahead of what was done; where it has none, the oldest record of
    the copy. Exit code 1: something stands against the plan, or what was committed is not what was planned.
    """
    from feed.cli import mirror_failover  # noqa: PLC0415 - of no use to the doctor

    faults = mirror_failover.run(
        load(config),
        to,
        tuple(group or ()),
        planned=planned,
        allow_back=move_back,
        execute=execute,
        as_json=json_output,
    )
    if faults:
        raise typer.Exit(1)


@app.command(epilog="Example: feed mirror rules --markdown")
def rules(
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a table, as docs/mirrormaker.md has it.")] = False,
) -> None:
    """List what the doctor knows."""
    typer.echo(rules_table() if markdown else rules_list(), nl=False)
