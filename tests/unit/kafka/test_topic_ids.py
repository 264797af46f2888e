"""A topic's id in names."""

from __future__ import annotations

from confluent_kafka import Uuid

from connectors.kafka import topic_id_text


def test_a_topic_id_never_splits_a_name() -> None:
    """Bits that make slashes and pluses in librdkafka's text are written as Kafka itself writes them."""
    assert "/" in str(Uuid(-1, -2))
    assert topic_id_text(Uuid(-1, -2)) == "_____________________g"
    assert "+" in str(Uuid(-290499569, 1))
    assert not set("+/=") & set(topic_id_text(Uuid(-290499569, 1)))
