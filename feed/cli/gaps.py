"""``feed gaps``: what the feed itself says is missing."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer
from rich.markup import escape
from rich.table import Table

from feed.cli.options import ConfigOption, load
from feed.cli.output import stdout
from schemas.errors import ConfigError


def gaps(
    *,
    config: ConfigOption = None,
    region: Annotated[
        str | None, typer.Option("--region", help="Whose copy of the control topic; by default the table's region.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line for each gap instead of a table.")] = False,
) -> None:
    """Every gap event: when, which shard, why, certain or not, last sequence read. Exit code 1 when there are any."""
    from connectors.kafka import KafkaClients  # noqa: PLC0415 - not for `feed --help`
    from feed.operate.gaps import gaps_of, told  # noqa: PLC0415 - as above
    from feed.run.preflight import check_topics  # noqa: PLC0415 - as above
    from feed.verify.topics import TopicReader  # noqa: PLC0415 - as above
    from schemas.control import decode_control  # noqa: PLC0415 - as above

    loaded = load(config)
    name = region or loaded.table.region
    if name not in loaded.regions or not loaded.has_topic(name):
        raise ConfigError(f"region {name!r} has no topic of the feed", hint="one of regions, the source or a mirror's")
    topic = f"{loaded.feed}.control"
    clients = KafkaClients(loaded.regions[name].kafka, client_id="feed-gaps")
    check_topics(loaded, name, clients, (topic,))
    values = (message.value() for message in TopicReader(clients, topic).records())
    found = [told(gap) for gap in gaps_of(decode_control(value) for value in values if value)]
    if as_json:
        for gap in found:
            typer.echo(orjson.dumps(gap).decode())
    else:
        table = Table("when", "shard", "what", "reason", "last sequence read", "to")
        for gap in found:
            what = "[red]certain[/]" if gap["certain"] else "possible"
            last, to = gap["last_read"] or "none", gap["to"] or ""
            table.add_row(gap["at"], gap["shard"] or gap["stream"], what, escape(gap["reason"]), last, to)
        stdout().print(table if found else f"no gap events in {topic} of region {name}")
    raise typer.Exit(1 if found else 0)
