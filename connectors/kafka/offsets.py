"""What a group has committed, asked from outside the group."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connectors.kafka.clients import KafkaClients, error_of

ASK_AGAIN_S: Final = 0.2

_MOVING: Final = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
"""The coordinator is on its way: it is asked for again within the bound."""


def group_offsets(
    clients: KafkaClients, group: str, places: Iterable[TopicPartition], *, bound_s: float
) -> list[TopicPartition]:
    """The group's commits of these partitions, each with its metadata; a negative offset where there is none.

    Asked by a consumer that names the group and never joins it. The admin client's own question is no choice: when the
    coordinator moves, or its topic is just being made, librdkafka looks for the group that an admin client does not
    have, and the process dies of it without a word (librdkafka, issue 5040; in 2.16 as well).

    Raises:
        RetryableError: its coordinator does not answer in time.
        FatalError: it refuses.
    """
    doing, asked = f"reading the offsets of {group}", list(places)
    with closing(clients.group_consumer(group)) as asker:
        try:
            found = _ask(asker, asked, bound_s)
        except KafkaException as error:
            raise error_of(error.args[0], doing) from error
    for each in found:
        if each.error is not None:
            raise error_of(each.error, doing)
    return found


def _ask(asker: Consumer, asked: list[TopicPartition], bound_s: float) -> list[TopicPartition]:
    deadline = time.monotonic() + bound_s
    while True:
        try:
            return asker.committed(asked, timeout=max(ASK_AGAIN_S, deadline - time.monotonic()))
        except KafkaException as error:
            if error.args[0].code() not in _MOVING or time.monotonic() >= deadline:
                raise
        time.sleep(ASK_AGAIN_S)
