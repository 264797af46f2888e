"""What the copy's region knows when the source is gone: checkpoints, ends, offsets, members, and how far it came."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka import KafkaClients, error_of, group_offsets
from mirrormaker.failover.checkpoints import Checkpoint, read_checkpoints
from mirrormaker.failover.plan import Place
from mirrormaker.status.asking import ASK_WITHIN_S, captured_ms, compacted
from mirrormaker.topology import Flow

_END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's own codes have no other name
LOOK_BACK = 50
"""Offsets that are read at a partition's end to find its youngest record: the last ones may be transactions' marks."""


@dataclass(frozen=True)
class CopyFacts:
    """What is known in the copy's region.

    Attributes:
        checkpoints: of every group.
        marks: of each copied partition: first offset, and the one after the last.
        newest_ms: of each copied partition: when its youngest record was captured; what the source took later is not
            here. Partitions without a record are absent.
    """

    checkpoints: tuple[Checkpoint, ...]
    marks: dict[Place, tuple[int, int]]
    newest_ms: dict[Place, int]

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups that have a checkpoint in a copied topic."""
        topics = {topic for topic, _ in self.marks}
        return tuple(sorted({one.group for one in self.checkpoints if one.topic in topics}))


def ask(flow: Flow, target: KafkaClients, *, now_ms: Callable[[], int]) -> CopyFacts:
    """Ask the copy's cluster; the source is not asked.

    Raises:
        FeedError: the cluster does not answer within its bound, or refuses.
    """
    reader = target.reader()
    try:
        checkpoints = read_checkpoints(compacted(reader, f"{flow.source.name}.checkpoints.internal", now_ms))
        known = reader.list_topics(timeout=ASK_WITHIN_S).topics
        marks = {
            (topic, number): reader.get_watermark_offsets(TopicPartition(topic, number), timeout=ASK_WITHIN_S)
            for topic in flow.topics
            if topic in known
            for number in known[topic].partitions
        }
        newest = _newest(reader, marks, now_ms)
    finally:
        reader.close()
    return CopyFacts(checkpoints, marks, newest)


def committed_offsets(clients: KafkaClients, group: str, places: Iterable[Place]) -> dict[Place, int]:
    """What a group has committed in these partitions; empty when nobody knows it."""
    asked = [TopicPartition(topic, number) for topic, number in places]
    found = group_offsets(clients, group, asked, bound_s=ASK_WITHIN_S) if asked else []
    return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}


def member_count(admin: AdminClient, group: str) -> int:
    """Members of a group now; 0 when nobody knows it."""
    answer = admin.describe_consumer_groups([group], request_timeout=ASK_WITHIN_S)[group]
    try:
        return len(answer.result(ASK_WITHIN_S).members)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return 0
        raise error_of(error.args[0], f"asking for members of {group}") from error


def source_members(source: KafkaClients, groups: Iterable[str]) -> dict[str, int]:
    """Members at the source of each group that has some; for a failover that is planned."""
    admin = source.admin()
    counts = {group: member_count(admin, group) for group in groups}
    return {group: count for group, count in counts.items() if count}


def _newest(reader: Consumer, marks: dict[Place, tuple[int, int]], now_ms: Callable[[], int]) -> dict[Place, int]:
    filled = {place: max(low, high - LOOK_BACK) for place, (low, high) in marks.items() if high > low}
    if not filled:
        return {}
    reader.assign([TopicPartition(topic, number, begin) for (topic, number), begin in filled.items()])
    newest: dict[Place, int] = {}
    ended: set[Place] = set()
    deadline_ms = now_ms() + round(ASK_WITHIN_S * 1000)
    while len(ended) < len(filled) and now_ms() < deadline_ms:
        for message in reader.consume(500, 0.2):
            place = (message.topic() or "", message.partition() or 0)
            error = message.error()
            if error is None:
                newest[place] = captured_ms(message)
            elif error.code() == _END_OF_PARTITION:
                ended.add(place)
            else:
                raise error_of(error, f"reading {place[0]}/{place[1]}")
    return newest
