"""What the live topics say: how far the archive reaches, and for which live offsets a replay vouches.

A replay of everything from one time up to ``to`` vouches for the live offsets below U when no record below U can be
missing from the archive's part of that range. U is taken first, as the first offset of a record that is not older than
``to`` (by arrival in a mirror's target, by event time at the source), less a margin for the brokers' clocks; then the
archive is asked, and must have stored everything up to ``to``. What is archived is behind the archive's commit; what is
not arrives later than U was taken, hence above it.
"""

from __future__ import annotations

from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from connectors.kafka import KafkaClients, describe_topics, error_of, first_record, watermarks
from schemas.errors import ConfigError, RetryableError

ANSWER_BOUND_S: Final = 20.0

CLOCK_MARGIN_MS: Final = 5_000
"""Clocks of brokers, of DynamoDB and of this machine differ by less."""


@dataclass(frozen=True, slots=True)
class LivePartition:
    """One partition of the live topic in the consumer's region."""

    number: int
    low: int
    end: int
    committed: int | None
    """What the live group has committed."""

    @property
    def lapsed(self) -> bool:
        """True when retention deleted what the group had not read."""
        return self.committed is not None and self.committed < self.low


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the archive reaches."""

    to_ms: int
    """Everything that happened before is stored."""
    fault: str = ""
    """Why that is not known, or nothing worth."""


class LiveTopic:
    """The live topic of one region."""

    def __init__(self, clients: KafkaClients, topic: str) -> None:
        self._clients, self._topic = clients, topic

    def partitions(self, region: str) -> int:
        """Its current number of partitions.

        Raises:
            ConfigError: it is not there.
        """
        state = describe_topics(self._clients.admin(), [self._topic]).get(self._topic)
        if state is None:
            raise ConfigError(
                f"topic {self._topic} does not exist in region {region}", hint="create it with `feed topics apply`"
            )
        return state.partitions

    def look(self, group: str, partitions: int) -> list[LivePartition]:
        """Where each partition and the group stand."""
        committed = committed_of(self._clients, group, self._topic, partitions)
        with closing(self._clients.reader()) as reader:
            spans = [watermarks(reader, self._topic, n, bound_s=ANSWER_BOUND_S) for n in range(partitions)]
        return [LivePartition(n, low, end, committed[n]) for n, (low, end) in enumerate(spans)]

    def until(self, to_ms: int, live: list[LivePartition]) -> list[int]:
        """The offset of each partition below which every record is older than ``to_ms``, by its timestamp."""
        with closing(self._clients.reader()) as reader:
            asked = [TopicPartition(self._topic, each.number, to_ms - CLOCK_MARGIN_MS) for each in live]
            try:
                found = reader.offsets_for_times(asked, timeout=ANSWER_BOUND_S)
            except KafkaException as error:
                raise error_of(error.args[0], f"looking for a time in {self._topic}") from error
        at = {each.partition: each.offset for each in found}
        return [min(at[each.number], each.end) if at[each.number] >= 0 else each.end for each in live]

    def reach(self, group: str, partitions: int, now_ms: int) -> Reach:
        """How far a group that reads this topic has come: the time of the first record that it has not committed."""
        reached_ms = now_ms
        with closing(self._clients.reader()) as reader:
            for each in self.look(group, partitions):
                if each.committed is None or each.lapsed:
                    why = "has committed nothing" if each.committed is None else "has lapsed itself"
                    return Reach(0, f"the group {group}, which fills the archive, {why} on partition {each.number}")
                if each.committed >= each.end:
                    continue
                waiting = first_record(reader, self._topic, each.number, each.committed, bound_s=ANSWER_BOUND_S)
                if waiting is not None:
                    reached_ms = min(reached_ms, waiting.timestamp()[1])
        return Reach(reached_ms)


def committed_of(clients: KafkaClients, group: str, topic: str, partitions: int) -> list[int | None]:
    """What a group has committed in each partition.

    Raises:
        RetryableError: its coordinator does not answer.
    """
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, n) for n in range(partitions)])
    admin = clients.admin()
    try:
        (answer,) = admin.list_consumer_group_offsets([asked], request_timeout=ANSWER_BOUND_S).values()
        found = answer.result(ANSWER_BOUND_S + 1).topic_partitions
    except FutureTimeoutError as error:
        raise RetryableError(f"no answer while reading the offsets of {group}", hint="try again") from error
    except KafkaException as error:
        raise error_of(error.args[0], f"reading the offsets of {group}") from error
    offsets = {each.partition: each.offset for each in found}
    return [None if (offset := offsets.get(n, -1)) < 0 else offset for n in range(partitions)]
