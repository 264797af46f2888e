"""After the last write: has everything arrived everywhere? Asked of the brokers, not of the processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from confluent_kafka import TopicPartition

from connectors.kafka import KafkaClients, group_offsets
from schemas.errors import RetryableError

ADMIN_BOUND_S: Final = 10.0
LOOK_INTERVAL_S: Final = 0.5


def committed_offsets(clients: KafkaClients, group: str, topic: str, partitions: int) -> dict[int, int]:
    """The group's committed offsets by partition; empty while the coordinator does not answer."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    try:
        found = group_offsets(clients, group, places, bound_s=ADMIN_BOUND_S)
    except RetryableError:
        return {}
    return {one.partition: one.offset for one in found if one.offset >= 0}


def behind(ends: Mapping[int, int], committed: Mapping[int, int]) -> int:
    """How many offsets a group has yet to commit, of the records that were seen."""
    return sum(max(0, end - committed.get(partition, 0)) for partition, end in ends.items())


def wait_until_drained(
    look: Callable[[], list[str]], bound_s: float, clock_s: Callable[[], float], sleep_s: Callable[[float], None]
) -> list[str]:
    """Look until nothing is left or the bound is reached; returns what is left, as sentences."""
    until_s = clock_s() + bound_s
    while left := look():
        if clock_s() > until_s:
            return left
        sleep_s(LOOK_INTERVAL_S)
    return []
