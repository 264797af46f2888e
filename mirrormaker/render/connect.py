"""MirrorMaker on a Kafka Connect cluster: the worker's properties, and one JSON document for each connector.

JSON has no comments, so the reasons stand in a page beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from mirrormaker.entries import Entry, Section, as_mapping, properties_text
from mirrormaker.render import logins, replication
from mirrormaker.render.names import Names, connect_names
from mirrormaker.topology import Flow, NoAuth

CLIENT_PREFIXES = ("producer.", "consumer.", "admin.")


def render_connect(flow: Flow, *, listener: str = "http://0.0.0.0:8083") -> dict[str, str]:
    """Files by name: the worker's properties, the two connectors, and the reasons."""
    base = f"{flow.source.name}-{flow.target.name}"
    source, checkpoint = source_connector(flow), checkpoint_connector(flow)
    header = (
        f"A Kafka Connect worker for {flow.name}. Written by feed mirror render.\n"
        f"Run it in {flow.target.name}'s region: connect-distributed.sh FILE, then PUT each connector's config to\n"
        "/connectors/<name>/config. Guarantee: once, if every worker of the group has these lines."
    )
    return {
        f"{base}-worker.properties": properties_text(header, worker_sections(flow, listener=listener)),
        f"{base}-source.json": connector_json(connect_names(flow).source_connector, source),
        f"{base}-checkpoint.json": connector_json(connect_names(flow).checkpoint_connector, checkpoint),
        f"{base}-reasons.md": reasons_page(
            f"{flow.name} on Kafka Connect", {"source connector": source, "checkpoint connector": checkpoint}
        ),
    }


def connector_json(name: str, sections: Iterable[Section]) -> str:
    """A connector as Connect's REST interface takes it."""
    return json.dumps({"name": name, "config": as_mapping(sections)}, indent=2) + "\n"


def reasons_page(title: str, documents: dict[str, tuple[Section, ...]]) -> str:
    """Every key of the documents with its reason, as a page."""
    lines = [f"# {title}: why each key is there", "", "JSON has no comments; this page is written with it.", ""]
    for name, sections in documents.items():
        lines += [f"## {name}", ""]
        for section in sections:
            lines += [f"### {section.title}", ""]
            lines += [f"* `{entry.key}` = `{entry.value}`: {entry.why}" for entry in section.entries]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def source_connector(flow: Flow, names: Names | None = None) -> tuple[Section, ...]:
    """MirrorSourceConnector: copies the records."""
    chosen = names or connect_names(flow)
    return _without_empty(
        Section("which connector", _identity(flow, replication.SOURCE_CONNECTOR, chosen.source_connector)),
        Section("clusters", cluster_entries(flow)),
        Section("what is copied", (*replication.policy_entries(), *replication.topic_entries(flow))),
        Section("bytes stay bytes", converter_entries()),
        Section("exactly once", exactly_once_entries()),
        Section("reading", replication.prefixed("source.consumer.", replication.consumer_entries(flow))),
        Section("writing", replication.prefixed("producer.override.", replication.producer_entries(flow))),
    )


def checkpoint_connector(flow: Flow, names: Names | None = None) -> tuple[Section, ...]:
    """MirrorCheckpointConnector: translates the offsets of consumer groups."""
    chosen = names or connect_names(flow)
    topics = Entry(
        "topics",
        ", ".join(flow.topic_patterns),
        "Offsets of these topics only, the same as the source connector copies. Without it those of every topic are "
        "tried.",
    )
    return _without_empty(
        Section("which connector", _identity(flow, replication.CHECKPOINT_CONNECTOR, chosen.checkpoint_connector)),
        Section("clusters", cluster_entries(flow)),
        Section(
            "offsets of consumer groups",
            (
                *replication.policy_entries(),
                topics,
                *replication.checkpoint_entries(flow),
                *replication.offset_syncs_entries(flow),
            ),
        ),
        Section("bytes stay bytes", converter_entries()),
    )


def cluster_entries(flow: Flow) -> tuple[Entry, ...]:
    """Aliases and connections of both clusters, under the prefixes that the connectors read."""
    source, target = flow.source, flow.target
    return (
        Entry(
            "source.cluster.alias", source.name, "Its name in metrics and internal topics. Without it nothing starts."
        ),
        Entry("target.cluster.alias", target.name, "Its name in metrics. Without it all are called 'target'."),
        *replication.prefixed("source.cluster.", logins.connection_entries(source)),
        *replication.prefixed("target.cluster.", logins.connection_entries(target)),
    )


def converter_entries() -> tuple[Entry, ...]:
    """Keys, values and headers are copied as they are."""
    return tuple(
        Entry(f"{part}.converter", replication.BYTE_ARRAY_CONVERTER, f"The {part} is copied as bytes. {without}")
        for part, without in (
            ("key", "Without it the worker's converter decides."),
            ("value", "Without it the worker's converter decides."),
            ("header", "Without it headers become base64 text (KAFKA-10428)."),
        )
    )


def exactly_once_entries() -> tuple[Entry, ...]:
    """What the source connector asks of the worker."""
    return (
        Entry(
            "exactly.once.support",
            "required",
            "Refused by a worker that cannot, or when the consumer is not read_committed. Without it a wrong worker "
            "silently copies twice.",
        ),
        Entry(
            "transaction.boundary",
            "poll",
            "One transaction for each poll: the default, said aloud, since 'interval' would add up to a minute of "
            "delay.",
        ),
    )


def worker_sections(flow: Flow, *, listener: str) -> tuple[Section, ...]:
    """The worker's own properties."""
    names = connect_names(flow)
    connection = logins.connection_entries(flow.target)
    secured = not isinstance(flow.target.auth, NoAuth)
    clients = tuple(
        entry
        for prefix in CLIENT_PREFIXES
        for entry in replication.prefixed(prefix, logins.auth_entries(flow.target.auth))
        if secured
    )
    return _without_empty(
        Section("secrets", logins.provider_entries(flow)),
        Section(f"{flow.target.name}: the workers' cluster and the target", connection),
        Section("the same for the worker's own clients, which inherit nothing", clients),
        Section("the group", _group(names, listener)),
        Section("internal topics", _storage(flow, names)),
        Section("bytes stay bytes", converter_entries()),
    )


def _identity(flow: Flow, connector_class: str, name: str) -> tuple[Entry, ...]:
    return (
        Entry(
            "connector.class", connector_class, f"What runs for {flow.name}. Without it Connect refuses the document."
        ),
        Entry("name", name, "Its name in REST, metrics and transactional ids. Without it Connect takes the URL's."),
    )


def _group(names: Names, listener: str) -> tuple[Entry, ...]:
    return (
        Entry("group.id", names.group_id, "Workers of this flow share it. Without it nothing starts."),
        Entry("listeners", listener, "REST, also used between workers. Without it port 8083 on every interface."),
        Entry(
            "exactly.once.source.support",
            "enabled",
            "Records and their source offsets are one transaction. Without it up to a minute of records is copied "
            "twice "
            "after a crash. A running group goes through 'preparing' first (KIP-618).",
        ),
        Entry(
            "scheduled.rebalance.max.delay.ms",
            "0",
            "A lost worker's tasks are given out at once. Without it nothing of them is copied for five minutes.",
        ),
        Entry(
            "connector.client.config.override.policy",
            "All",
            "The connectors set their producer's limits (producer.override.). Without it a policy of 'None' refuses "
            "them.",
        ),
        Entry("plugin.discovery", "service_load", "Found by manifest. Without it every jar is scanned at each start."),
    )


def _storage(flow: Flow, names: Names) -> tuple[Entry, ...]:
    factor = str(flow.target.replication_factor)
    entries: list[Entry] = []
    for store, topic in zip(("offset", "config", "status"), names.worker_topics, strict=True):
        entries += [
            Entry(f"{store}.storage.topic", topic, "Of this flow alone. Without it nothing starts."),
            Entry(
                f"{store}.storage.replication.factor",
                factor,
                "Without it 3, which a cluster of fewer brokers refuses.",
            ),
        ]
    entries += [
        Entry(
            "offset.storage.partitions", "1", "One flow needs no more. Without it 25 partitions are read at each start."
        ),
        Entry(
            "status.storage.partitions", "1", "One flow needs no more. Without it 5 partitions are read at each start."
        ),
    ]
    return tuple(entries)


def _without_empty(*sections: Section) -> tuple[Section, ...]:
    return tuple(section for section in sections if section.entries)
