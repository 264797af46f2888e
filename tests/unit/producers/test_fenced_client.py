"""A fenced client says so in every call; only the slot's loss comes of it."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from producers.stream import ProducerSettings
from producers.stream.kafka_log import KafkaSlotLog
from producers.stream.ports import SlotLostError


class Fenced:
    """A producer that another has fenced, with a full queue."""

    def begin_transaction(self) -> None: ...

    def purge(self) -> None: ...

    def produce(self, *_: object, **__: object) -> None:
        raise BufferError

    def poll(self, _: float) -> None:
        raise KafkaException(KafkaError(KafkaError._FENCED, fatal=True))


@pytest.fixture
def log() -> KafkaSlotLog:
    """A slot whose producer is fenced."""
    return KafkaSlotLog(Fenced(), 3, ProducerSettings())  # type: ignore[arg-type]  # what it needs of one


def test_closing_a_fenced_client_is_quiet(log: KafkaSlotLog) -> None:
    """The slot is lost already; the thread that closes it goes on and takes it again."""
    log.close()


def test_a_fenced_client_that_is_waited_for_loses_the_slot(log: KafkaSlotLog) -> None:
    """Waiting for room in its queue shows it too: the slot is lost, and nothing else fails."""
    with pytest.raises(SlotLostError):
        log.publish("orders", b"k", b"v", [], 0)
