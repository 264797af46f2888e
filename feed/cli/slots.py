"""``feed slots``: how far the producer's slots are, who has them, and another number of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.table import Table

from feed.cli.options import ConfigOption, load
from feed.cli.output import stdout

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
    from feed.run.process import now_ms  # noqa: PLC0415 - as above
    from feed.verify.topics import TopicReader  # noqa: PLC0415 - as above
    from producers.stream import find_positions  # noqa: PLC0415 - as above

    loaded = load(config)
    clients = KafkaClients(loaded.source.kafka, client_id="feed-slots")
    clients.check(loaded.table.region)
    topic, group = find_positions(clients, loaded.feed).name, f"{loaded.feed}.producer"
    reader = TopicReader(clients, topic)
    views = slots_of(_entries(reader), reader.partitions())
    assignment = assignment_of(clients.admin(), group, topic)
    if as_json:
        lines = [{**asdict(view), "owner": assignment.owners.get(view.slot)} for view in views]
        said = {"name": group, "state": assignment.state, "fault": assignment.fault}
        told = {"group": said, "topic": topic, "slots": lines}
        typer.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
        return
    _print(views, assignment, group, now_ms())
    if len(views) != loaded.topic.slots:
        stdout().print(
            f"{topic} has {len(views)} slots, topic.slots says {loaded.topic.slots}: what the topic has counts; "
            "correct the file, or run `feed slots resize`",
            style="yellow",
            highlight=False,
        )


@app.command(epilog="Example: feed slots resize 16 -c feed.yaml")
def resize(
    slots: Annotated[int, typer.Argument(min=1, max=256, help="How many slots there shall be.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Bring the feed to another number of slots. Stop all its producers first; start them again afterwards.

    All positions go into a new topic in one transaction. Interrupted at any point, it is run again and goes on; no
    change is lost or published twice.
    """
    from connectors.kafka import KafkaClients  # noqa: PLC0415 - not for `feed --help`
    from feed.operate.resize import resize_slots  # noqa: PLC0415 - as above

    loaded = load(config)
    clients = KafkaClients(loaded.source.kafka, client_id="feed-slots")
    clients.check(loaded.table.region)
    done = resize_slots(loaded, clients, slots)
    if done.before == done.after:
        typer.echo(f"nothing to do: {done.after.name} has {slots} slots")
        return
    typer.echo(
        f"{done.before.name} ({done.before.slots} slots) → {done.after.name} ({slots} slots): {done.records} records"
    )
    typer.echo(
        f"set topic.slots: {slots} in the file and start the producers; {done.before.name} is no longer read, and may "
        "be deleted once they run"
    )


def _entries(reader: TopicReader) -> Iterator[Entry]:
    for message in reader.records():
        yield message.partition() or 0, message.key() or b"", message.value()


def _print(views: list[SlotView], assignment: Assignment, group: str, at_ms: int) -> None:
    console = stdout()
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
