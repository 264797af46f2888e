"""What a group has committed, asked from outside the group."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from confluent_kafka import KafkaException, TopicPartition

from connectors.kafka.clients import KafkaClients, error_of


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
    doing = f"reading the offsets of {group}"
    with closing(clients.group_consumer(group)) as asker:
        try:
            found = asker.committed(list(places), timeout=bound_s)
        except KafkaException as error:
            raise error_of(error.args[0], doing) from error
    for each in found:
        if each.error is not None:
            raise error_of(each.error, doing)
    return found
