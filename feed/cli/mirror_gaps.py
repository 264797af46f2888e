"""``feed mirror gaps``: what audits found, as they wrote it beside the copies."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import typer
from rich.markup import escape
from rich.table import Table

from connectors.kafka import KafkaClients
from feed.cli.output import stdout
from feed.config import FeedConfig
from feed.run.flows import flows_of
from feed.verify.topics import TopicReader
from mirrormaker.audit import audit_topic
from schemas.control import ControlEvent, decode_control
from schemas.errors import ConfigError


def show(config: FeedConfig, region: str | None, *, as_json: bool) -> int:
    """Print every gap event of the mirrors, or of the one to ``region``; returns how many there are."""
    found = [event for flow in flows_of(config, region=region) for event in _events(config, flow.target.name)]
    if as_json:
        for event in found:
            typer.echo(json.dumps(_document(event)))
        return len(found)
    table = Table("when", "flow", "where", "what", "from", "to")
    for event in found:
        told = _document(event)
        table.add_row(*(escape(str(told[name] if told[name] is not None else "")) for name in _COLUMNS))
    stdout().print(table if found else "no audit found a difference")
    return len(found)


_COLUMNS = ("at", "flow", "place", "reason", "from", "to")


def _events(config: FeedConfig, region: str) -> list[ControlEvent]:
    topic = audit_topic(config.feed)
    clients = KafkaClients(config.regions[region].kafka, client_id="feed-mirror-gaps")
    clients.check(region)
    if topic not in clients.admin().list_topics(timeout=20).topics:
        raise ConfigError(f"There is no topic {topic} in {region}.", hint="feed topics apply makes it.")
    return [decode_control(value) for message in TopicReader(clients, topic).records() if (value := message.value())]


def _document(event: ControlEvent) -> dict[str, object]:
    return {
        "at": datetime.fromtimestamp(event.at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "flow": event.stream,
        "place": event.shard,
        "certain": event.certain,
        "reason": event.reason,
        "from": event.sequence,
        "to": event.to_sequence,
    }
