"""How the ends of a slot are asked for, with a client that fails as the real one does: without an error."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from producers.stream import ProducerSettings
from producers.stream.kafka_log import KafkaLog
from schemas.errors import RetryableError

WITHIN_S = 10.0
NO_OFFSET = -1001
"""librdkafka's own."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The answer for one partition."""

    offset: int


class Admin:
    """Answers when it is told to; when it goes, what is under way comes to no offset, as with librdkafka."""

    def __init__(self) -> None:
        self.under_way: dict[int, Future[Ends]] = {0: Future(), 1: Future()}
        self.asked = threading.Event()
        weakref.finalize(self, _give_up, self.under_way)

    def list_offsets(self, asked: dict[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Future[Ends]]:
        self.asked.set()
        return {partition: self.under_way[partition.partition] for partition in asked}


def _give_up(under_way: dict[int, Future[Ends]]) -> None:
    for answer in under_way.values():
        if not answer.done():
            answer.set_result(Ends(NO_OFFSET))


class Reader:
    """Never has to read."""

    def assign(self, partitions: list[TopicPartition]) -> None: ...

    def close(self) -> None: ...


class Clients:
    """Counts the admin clients that it builds, and keeps none of them."""

    def __init__(self) -> None:
        self.built: list[weakref.ref[Admin]] = []

    def admin(self) -> Admin:
        made = Admin()
        self.built.append(weakref.ref(made))
        return made

    def reader(self, **_: Any) -> Reader:
        return Reader()


@pytest.fixture
def clients() -> Clients:
    """New ones."""
    return Clients()


@pytest.fixture
def log(clients: Clients) -> KafkaLog:
    """A log that asks them."""
    return KafkaLog(clients, "orders", ProducerSettings())  # type: ignore[arg-type]  # what it needs of them


def newest(clients: Clients) -> Admin:
    """The client in use."""
    admin = clients.built[-1]()
    assert admin is not None
    return admin


def test_a_request_that_failed_as_a_whole_is_no_empty_slot(clients: Clients, log: KafkaLog) -> None:
    """The client then reports no offset (-1001) and no error; the slot is tried again."""
    newest(clients).under_way[0].set_result(Ends(NO_OFFSET))
    with pytest.raises(RetryableError, match="did not answer"):
        log.read_back(0)
    assert len(clients.built) == 2, "it is asked again with a new client"


def test_a_client_is_replaced_under_no_ones_hands(clients: Clients, log: KafkaLog) -> None:
    """One slot is refused and replaces the client while another waits for its answer, which still comes."""
    first = newest(clients)
    answer, asked = first.under_way[0], first.asked
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(log.read_back(0)), daemon=True)
    waiting.start()
    assert asked.wait(WITHIN_S)
    first.under_way[1].set_exception(KafkaException(KafkaError(KafkaError.FENCED_LEADER_EPOCH)))
    del first
    with pytest.raises(RetryableError, match="FENCED_LEADER_EPOCH"):
        log.read_back(1)
    gc.collect()
    assert not answer.done(), "the client went while a slot waited for its answer"
    newest(clients).under_way[0].set_result(Ends(0))
    answer.set_result(Ends(0))
    waiting.join(WITHIN_S)
    assert found == [[]]


def test_slots_that_fail_with_the_same_client_replace_it_once(clients: Clients, log: KafkaLog) -> None:
    """The second one finds it replaced already."""
    first = newest(clients)
    log._replace(first)  # type: ignore[arg-type]  # what it needs of one
    log._replace(first)  # type: ignore[arg-type]  # as above
    assert len(clients.built) == 2
