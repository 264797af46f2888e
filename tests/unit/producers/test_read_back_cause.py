"""Why a slot cannot be read back is said as it is, and a hanging transaction is blamed only when one hangs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from connectors.kafka import error_of
from producers.stream import ProducerSettings, kafka_log
from producers.stream.kafka_log import KafkaLog
from schemas.errors import FatalError, RetryableError


class Message:
    """A record, or an error in its place."""

    def __init__(self, *, offset: int = 0, fault: int | None = None) -> None:
        self._offset, self._fault = offset, fault

    def error(self) -> KafkaError | None:
        return None if self._fault is None else KafkaError(self._fault)

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes:
        return b"k%d" % self._offset

    def value(self) -> bytes:
        return b"v"


class Reader:
    """Hands out what it was given, then nothing."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self._messages = list(messages)

    def poll(self, _: float) -> Message | None:
        if not self._messages:
            time.sleep(0.01)
            return None
        return self._messages.pop(0)

    def consume(self, *_: Any) -> list[Message]:
        return []


class Clients:
    """No admin is asked."""

    def admin(self) -> None:
        return None


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> KafkaLog:
    """A log that hardly waits; its last stable offset is 5."""
    monkeypatch.setattr(kafka_log, "READ_BACK_BOUND_S", 0.1)
    made = KafkaLog(Clients(), "orders", ProducerSettings())  # type: ignore[arg-type]  # what it needs of them
    monkeypatch.setattr(made, "_offset", lambda *_: 5)
    return made


def read(log: KafkaLog, *messages: Message, end: int = 9) -> list[tuple[bytes, bytes | None]]:
    return log._read_to(Reader(messages), 3, 0, end)  # type: ignore[arg-type]  # what it needs of a consumer


def test_an_offset_that_is_gone_is_told_at_once(log: KafkaLog) -> None:
    """The client has nowhere to begin: no waiting, no talk of transactions, and another try with new ends."""
    with pytest.raises(RetryableError, match="_AUTO_OFFSET_RESET") as caught:
        read(log, Message(fault=KafkaError._AUTO_OFFSET_RESET))
    assert "beginning moved" in caught.value.hint


def test_a_missing_permission_is_told_at_once_and_tried_again(log: KafkaLog) -> None:
    """It may be granted while the worker runs; the hint says where to look."""
    with pytest.raises(RetryableError, match="TOPIC_AUTHORIZATION_FAILED") as caught:
        read(log, Message(fault=KafkaError.TOPIC_AUTHORIZATION_FAILED))
    refused = error_of(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), "")
    assert caught.value.hint == refused.hint


def test_what_the_client_said_last_is_the_cause(log: KafkaLog) -> None:
    """A broker that is away for longer than the bound is no hanging transaction."""
    with pytest.raises(RetryableError, match="_TRANSPORT"):
        read(log, Message(offset=0), Message(fault=KafkaError._TRANSPORT))


def test_a_transaction_hangs_when_the_last_stable_offset_says_so(log: KafkaLog) -> None:
    """It stays below the end: the sentence names the offset that it begins at."""
    with pytest.raises(FatalError, match="a transaction hangs between offset 5 and 9"):
        read(log, Message(offset=0))


def test_a_slow_broker_is_no_hanging_transaction(log: KafkaLog) -> None:
    """Everything below the end is decided: it is tried again."""
    with pytest.raises(RetryableError, match="stands at offset 1 of 4"):
        read(log, Message(offset=0), end=4)


def test_trouble_that_passes_is_forgotten(log: KafkaLog) -> None:
    """The reader gets on after an error, and the slot is read."""
    messages = (Message(fault=KafkaError._TRANSPORT), *(Message(offset=number) for number in range(3)))
    assert [key for key, _ in read(log, *messages, end=3)] == [b"k0", b"k1", b"k2"]
