"""What a group has committed, asked from outside it: on the client's own mock cluster."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer, TopicPartition

from connectors.kafka import KafkaClients, KafkaSettings, group_offsets
from schemas.errors import RetryableError

BOUND_S = 10.0


def test_commits_with_their_metadata() -> None:
    """Offset and metadata of what is committed, a negative offset where nothing is; the group gets no member by it."""
    cluster = Producer({"test.mock.num.brokers": 1})
    (broker,) = cluster.list_topics(timeout=BOUND_S).brokers.values()
    cluster.produce("orders", b"value")
    assert cluster.flush(BOUND_S) == 0
    clients = KafkaClients(KafkaSettings(bootstrap_servers=f"{broker.host}:{broker.port}"), client_id="test")
    places = [TopicPartition("orders", 0), TopicPartition("orders", 1)]
    assert [each.offset < 0 for each in group_offsets(clients, "g", places, bound_s=BOUND_S)] == [True, True]
    member = clients.group_consumer("g")
    member.commit(offsets=[TopicPartition("orders", 1, 7, "noted")], asynchronous=False)
    member.close()
    first, second = group_offsets(clients, "g", places, bound_s=BOUND_S)
    assert first.offset < 0
    assert (second.offset, second.metadata) == (7, "noted")


def test_a_cluster_that_does_not_answer() -> None:
    """It is told within the bound, as what may pass."""
    clients = KafkaClients(KafkaSettings(bootstrap_servers="127.0.0.1:1"), client_id="test")
    with pytest.raises(RetryableError, match="reading the offsets of g"):
        group_offsets(clients, "g", [TopicPartition("orders", 0)], bound_s=0.3)
