"""``feed slots``: how far the producer's slots are, and who has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from feed.cli.options import ConfigOption, load

if TYPE_CHECKING:
    from feed.operate import Assignment, SlotView
    from feed.operate.slots import Entry
    from feed.verify.topics import TopicReader

app = typer.Typer(no_args_is_help=True, help="The producer's slots.")


@app.callback()
def slots() -> None:
    """The producer's slots."""


@app.command(epilog="Example: feed slots show -c feed.yaml")
def show(
    *,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
) -> None:
    """Each slot: its worker, epoch, shards by state, age of its last position, and what is held and why."""
    from connectors.kafka import KafkaClients  # noqa: PLC0415 - not for `feed --help`
    from feed.operate import assignment_of, slots_of  # noqa: PLC0415 - as above
    from feed.run.preflight import check_topics  # noqa: PLC0415 - as above
    from feed.run.process import now_ms  # noqa: PLC0415 - as above
    from feed.verify.topics import TopicReader  # noqa: PLC0415 - as above

    loaded = load(config)
    topic, group = f"{loaded.feed}.positions", f"{loaded.feed}.producer"
    clients = KafkaClients(loaded.source.kafka, client_id="feed-slots")
    check_topics(loaded, loaded.table.region, clients, (topic,))
    reader = TopicReader(clients, topic)
    views = slots_of(_entries(reader), reader.partitions())
    assignment = assignment_of(clients.admin(), group, topic)
    if as_json:
        lines = [{**asdict(view), "owner": assignment.owners.get(view.slot)} for view in views]
        said = {"name": group, "state": assignment.state, "fault": assignment.fault}
        typer.echo(orjson.dumps({"group": said, "slots": lines}, option=orjson.OPT_INDENT_2).decode())
        return
    _print(views, assignment, group, now_ms())


def _entries(reader: TopicReader) -> Iterator[Entry]:
    for message in reader.records():
        yield message.partition() or 0, message.key() or b"", message.value()


def _print(views: list[SlotView], assignment: Assignment, group: str, at_ms: int) -> None:
    console = Console()
    nobody = "not known" if assignment.fault else "nobody"
    table = Table("slot", "worker", "epoch", "shards", "last position")
    for view in views:
        table.add_row(
            str(view.slot),
            assignment.owners.get(view.slot, nobody),
            "" if view.epoch is None else str(view.epoch),
            ", ".join(f"{count} {state}" for state, count in sorted(view.states.items())) or "none",
            "none" if view.latest_at_ms is None else f"{max(0, at_ms - view.latest_at_ms) / 1000:.1f} s ago",
        )
    console.print(table)
    for view in views:
        for held in view.held:
            console.print(f"slot {view.slot} holds {held.what}: {held.reason}", style="red", markup=False)
    console.print(f"group {group}: {assignment.fault or assignment.state}", highlight=False, markup=False)
