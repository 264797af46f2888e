"""What the copy needs in every form, with its reason: the connectors' own keys, and the settings of their clients.

A form (dedicated, Connect, Strimzi …) only decides which prefix each of these gets.
"""

from __future__ import annotations

from collections.abc import Iterable

from mirrormaker.entries import Entry
from mirrormaker.topology import Flow

IDENTITY_POLICY = "org.apache.kafka.connect.mirror.IdentityReplicationPolicy"
BYTE_ARRAY_CONVERTER = "org.apache.kafka.connect.converters.ByteArrayConverter"
SOURCE_CONNECTOR = "org.apache.kafka.connect.mirror.MirrorSourceConnector"
CHECKPOINT_CONNECTOR = "org.apache.kafka.connect.mirror.MirrorCheckpointConnector"
_BATCH_BYTES = 131_072
_FETCH_BYTES = 4_194_304
_FETCH_TOTAL_BYTES = 16_777_216


def prefixed(prefix: str, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The same entries under a prefix."""
    return tuple(Entry(prefix + entry.key, entry.value, entry.why) for entry in entries)


def policy_entries() -> tuple[Entry, ...]:
    """How topics are named at the target."""
    return (
        Entry(
            "replication.policy.class",
            IDENTITY_POLICY,
            "Topics keep their names. Without it they become eu.orders, and every consumer needs another name in "
            "another region. "
            "This policy has no protection against loops, so no flow goes back.",
        ),
    )


def topic_entries(flow: Flow) -> tuple[Entry, ...]:
    """What MirrorSourceConnector copies and how."""
    factor = str(flow.target.replication_factor)
    return (
        Entry(
            "topics",
            ", ".join(flow.topic_patterns),
            "Exactly the feeds' topics, as regular expressions (a comma splits the list, also inside one). Without it "
            "every topic is copied, "
            "positions and dead letters among them.",
        ),
        Entry(
            "tasks.max",
            str(flow.tasks_max),
            "Tasks that share the partitions. Without it one task copies everything. More than there are partitions "
            "has no use.",
        ),
        Entry(
            "refresh.topics.interval.seconds",
            str(flow.pace.refresh_topics_interval_s),
            "How soon a new topic or partition is noticed. Without it: after ten minutes, uncopied until then.",
        ),
        Entry(
            "sync.topic.configs.enabled",
            "false",
            "The target's topics have their own retention (24 h from arrival) and LogAppendTime. Without this line "
            "each sync wipes what is not set at "
            "the source.",
        ),
        Entry(
            "sync.topic.acls.enabled",
            "false",
            "Who may read is decided in each region. Without it literal ACLs are copied, ALL becomes READ, and under "
            "IAM it only logs errors.",
        ),
        Entry(
            "replication.factor",
            factor,
            "Of a topic that MirrorMaker has to create at the target. Without it 2: on MSK one lost broker stops "
            "writes.",
        ),
        Entry(
            "heartbeats.replication.enabled",
            "false",
            "No heartbeats topic is copied: under names that stay, the source's and the target's would be one topic. "
            "Without it any topic "
            "named heartbeats is copied as well.",
        ),
        *_offset_pair_entries(flow),
    )


def _offset_pair_entries(flow: Flow) -> tuple[Entry, ...]:
    factor = str(flow.target.replication_factor)
    return (
        *offset_syncs_entries(flow),
        Entry(
            "offset-syncs.topic.replication.factor",
            factor,
            "Of the topic above. Without it 3, which a cluster of fewer brokers refuses.",
        ),
        Entry(
            "offset.lag.max",
            "10",
            "How far a pair of offsets may age before a new one is written. Without it 100: on a slow topic such as "
            "the control topic group offsets "
            "seem never to move.",
        ),
    )


def offset_syncs_entries(flow: Flow) -> tuple[Entry, ...]:
    """What source and checkpoint connector must have in common to translate offsets."""
    return (
        Entry(
            "offset-syncs.topic.location",
            "target",
            f"The offset pairs live in {flow.target.name}, the same for both connectors, so the copy never writes to "
            f"{flow.source.name}. Without it they "
            "are written over the long way, by a process that otherwise only reads there.",
        ),
    )


def checkpoint_entries(flow: Flow) -> tuple[Entry, ...]:
    """What MirrorCheckpointConnector does with the offsets of consumer groups."""
    return (
        Entry(
            "groups",
            ", ".join(flow.group_patterns),
            "The feeds' own groups. Without it the offsets of every group that reads a copied topic are written at "
            "the target.",
        ),
        Entry(
            "refresh.groups.interval.seconds",
            str(flow.pace.refresh_groups_interval_s),
            "How soon a new group is noticed. Without it: after ten minutes, and a failover before then starts at the "
            "beginning.",
        ),
        Entry(
            "emit.checkpoints.interval.seconds",
            str(flow.pace.emit_checkpoints_interval_s),
            "How old translated offsets may be. Without it a minute of records more is read again after a failover.",
        ),
        Entry(
            "sync.group.offsets.enabled",
            "true",
            "Translated offsets are committed for groups that are not active at the target, never backwards. Without "
            "it a group that moves "
            "there has no offsets at all.",
        ),
        Entry(
            "sync.group.offsets.interval.seconds",
            str(flow.pace.sync_group_offsets_interval_s),
            "How often. Without it once a minute.",
        ),
        Entry(
            "checkpoints.topic.replication.factor",
            str(flow.target.replication_factor),
            "Of the checkpoints topic. Without it 3, which a cluster of fewer brokers refuses.",
        ),
    )


def consumer_entries(flow: Flow) -> tuple[Entry, ...]:
    """Settings of the consumer that reads the source over the long way."""
    return (
        Entry(
            "isolation.level",
            "read_committed",
            "Without it records of aborted transactions are copied as good ones, and exactly once is a word.",
        ),
        Entry(
            "max.poll.records",
            "500",
            "A poll is a transaction at the target and is held in memory: 500 changes with two images of 400 KiB are "
            "400 MB for a task. The default, said aloud: more is quicker only for small records.",
        ),
        Entry(
            "fetch.max.bytes",
            str(_FETCH_TOTAL_BYTES),
            "What one round trip may bring of all partitions, compressed. Without it 50 MiB for each task, several "
            "times "
            "that when it is unpacked.",
        ),
        Entry(
            "max.partition.fetch.bytes",
            str(max(_FETCH_BYTES, 2 * flow.max_record_bytes)),
            "What one round trip may bring of one partition. Without it 1 MiB: at 260 ms no partition is caught up "
            "faster than 4 MB/s.",
        ),
        Entry(
            "receive.buffer.bytes",
            "-1",
            "The operating system sizes the TCP window. Without it 64 KiB: at 75 ms less than 1 MB/s on a connection.",
        ),
    )


def producer_entries(flow: Flow) -> tuple[Entry, ...]:
    """Settings of the producer that writes the copies at the target."""
    return (
        Entry(
            "transaction.timeout.ms",
            str(flow.transaction_timeout_ms),
            "How long a killed task's open transaction holds back read_committed readers. Without it a minute.",
        ),
        Entry(
            "max.request.size",
            str(flow.max_record_bytes + 65_536),
            "A change with two images of 400 KiB fits (before compression, with its headers). Without it 1 MiB: one "
            "larger record fails the task for good. The "
            "topic's max.message.bytes must allow it as well.",
        ),
        Entry(
            "max.in.flight.requests.per.connection",
            "5",
            "Order holds, since exactly once makes the producer idempotent. Without it Connect's 1: each batch waits "
            "for the last.",
        ),
        Entry(
            "batch.size",
            str(_BATCH_BYTES),
            "Fewer, larger requests. Without it 16 KiB: eight times as many when there is much to copy.",
        ),
        Entry(
            "linger.ms",
            "5",
            "The wait for a batch to fill, the same in every Kafka version. Without it 0 before 4.0: a request for "
            "every record.",
        ),
        Entry(
            "compression.type",
            "lz4",
            "Copies are stored compressed at the target. Without it they are stored plain: two to four times the disk.",
        ),
        Entry("send.buffer.bytes", "-1", "The operating system sizes the TCP window. Without it 128 KiB."),
    )
