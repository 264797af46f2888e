"""The complete ``mm2.properties`` of one flow: MirrorMaker's own process, run beside the target.

Start it with ``connect-mirror-maker.sh FILE --clusters <target>``. Guarantee: once.
"""

from __future__ import annotations

from mirrormaker.entries import Entry, Section, properties_text
from mirrormaker.render import logins, replication
from mirrormaker.topology import Flow

LOCAL_LISTENER = "http://127.0.0.1:0"
"""For a single node: a free port that nothing outside the machine reaches."""


def render_dedicated(flow: Flow, *, rest_listener: str = LOCAL_LISTENER) -> str:
    """The text of ``mm2.properties``; the same flow gives the same bytes.

    Args:
        flow: what is copied, from where to where.
        rest_listener: where nodes of the group reach each other; with several nodes an address that the others can
            reach.
    """
    name, target = flow.name, flow.target.name
    header = (
        f"MirrorMaker 2, dedicated mode: {name}. Written by feed mirror render.\n"
        f"Run it in {target}'s region: connect-mirror-maker.sh FILE --clusters {target}\n"
        f"or by {flow.source.name}-{target}-run.sh, which also ends it when a task has failed: Kafka never would.\n"
        "Guarantee: once. Records and their source offsets are one transaction at the target.\n"
        "A comment stands on its own line: behind a value it would become part of the value."
    )
    return properties_text(header, dedicated_sections(flow, rest_listener=rest_listener))


def dedicated_sections(flow: Flow, *, rest_listener: str = LOCAL_LISTENER) -> tuple[Section, ...]:
    """The same as values, for tests and for ``feed mirror explain``."""
    source, target = flow.source.name, flow.target.name
    return tuple(
        section
        for section in (
            Section("who takes part", _clusters(flow)),
            Section("secrets", logins.provider_entries(flow)),
            Section(
                f"{source}: the source", replication.prefixed(f"{source}.", logins.connection_entries(flow.source))
            ),
            Section(
                f"{target}: the target", replication.prefixed(f"{target}.", logins.connection_entries(flow.target))
            ),
            Section("which flow runs", _herders(flow)),
            Section("what is copied", (*replication.policy_entries(), *replication.topic_entries(flow))),
            Section("offsets of consumer groups", replication.checkpoint_entries(flow)),
            Section("exactly once", _exactly_once(flow, rest_listener)),
            Section("the worker", _worker(flow)),
            Section(
                "reading over the long way",
                replication.prefixed(f"{source}.consumer.", replication.consumer_entries(flow)),
            ),
            Section(
                "writing at the target", replication.prefixed(f"{target}.producer.", replication.producer_entries(flow))
            ),
        )
        if section.entries
    )


def _clusters(flow: Flow) -> tuple[Entry, ...]:
    return (
        Entry(
            "clusters",
            f"{flow.source.name}, {flow.target.name}",
            "Only the two of this flow: a process for each flow, so that one flow's metrics and failures are its own. "
            "Each further name would bring "
            "a herder for every pair.",
        ),
    )


def _herders(flow: Flow) -> tuple[Entry, ...]:
    return (
        Entry(f"{flow.name}.enabled", "true", "The flow. Without it nothing is copied."),
        Entry(
            "emit.heartbeats.enabled",
            "false",
            "Top level, since it decides which herders start. Without it the way back gets a herder of its own, with "
            "three internal topics, "
            "only to emit heartbeats. Whether the copy moves is seen from the copy itself (feed mirror audit).",
        ),
        Entry(
            "heartbeats.topic.replication.factor",
            str(flow.target.replication_factor),
            "The heartbeat connector makes its topic even when it emits nothing. Without it 3, which a cluster of "
            "fewer brokers refuses.",
        ),
    )


def _exactly_once(flow: Flow, rest_listener: str) -> tuple[Entry, ...]:
    target = flow.target.name
    return (
        Entry(
            f"{target}.exactly.once.source.support",
            "enabled",
            "Records and their source offsets are one transaction. Without it up to a minute of records is copied "
            "twice after a crash; without the prefix "
            "the line is ignored. (exactly.once.support=required must not be set here: the other two connectors would "
            "refuse to start.)",
        ),
        Entry(
            "dedicated.mode.enable.internal.rest",
            "true",
            "Nodes of the group fence each other's old tasks through it. Without it a second node's tasks never start.",
        ),
        Entry("listeners", rest_listener, "Where that happens. Without it port 8083 on every interface."),
        Entry(
            f"{flow.name}.transaction.boundary",
            "poll",
            "One transaction for each poll: the default, said aloud, since 'interval' would add up to a minute of "
            "delay. "
            "A connector's key: under the target's name, or at top level, nothing would read it.",
        ),
        Entry(
            f"{target}.scheduled.rebalance.max.delay.ms",
            "0",
            "A lost node's tasks are given out at once. Without it nothing of them is copied for five minutes; "
            "without the prefix the line is ignored.",
        ),
    )


def _worker(flow: Flow) -> tuple[Entry, ...]:
    target, factor = flow.target.name, str(flow.target.replication_factor)
    stores = (("offset", "source offsets"), ("config", "connector configurations"), ("status", "states of connectors"))
    factors = tuple(
        Entry(
            f"{target}.{store}.storage.replication.factor",
            factor,
            f"Of the topic of {what}. Without it 3, which a cluster of fewer brokers refuses. (On one level only: the "
            "top level would win over this one.)",
        )
        for store, what in stores
    )
    partitions = tuple(
        Entry(
            f"{target}.{store}.storage.partitions",
            count,
            f"One flow needs no more. Without it {default} partitions to read at each start.",
        )
        for store, count, default in (("offset", "1", "25"), ("status", "1", "5"))
    )
    discovery = (
        "Plugins are found by their manifests. Without it every jar is scanned at each start, which doubles the time "
        "to the first record."
    )
    return (
        *factors,
        *partitions,
        Entry("plugin.discovery", "service_load", discovery),
        Entry(
            f"{target}.plugin.discovery",
            "service_load",
            "The same for this target's worker, which does not read the line above.",
        ),
    )
