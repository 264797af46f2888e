"""A dead-letter topic: all of it, read to a known place, or one record of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, KafkaError, Message, TopicPartition

from connectors.kafka import KafkaClients, describe_topics, error_of
from feed.operate.letters import Headers, Stored
from schemas.errors import ConfigError, RetryableError

BATCH: Final = 200
_END: Final = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's names begin so
_NO_SUCH_OFFSET: Final = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001 - as above
POLL_S: Final = 0.1
STALL_BOUND_S: Final = 30.0
"""How long reading may yield nothing: longer than a transaction can stay open by default."""


class LetterTopic:
    """Reads a dead-letter topic (one partition), committed records only, without a group."""

    def __init__(self, clients: KafkaClients, topic: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clients, self.topic, self._clock_s = clients, topic, clock_s

    def check(self, region: str) -> None:
        """The cluster answers and has the topic.

        Raises:
            ConfigError: it does not.
        """
        self._clients.check(region)
        state = describe_topics(self._clients.admin(), [self.topic]).get(self.topic)
        if state is None:
            raise ConfigError(
                f"topic {self.topic} does not exist in region {region}", hint="create it with `feed topics apply`"
            )
        if state.partitions != 1:
            raise ConfigError(
                f"topic {self.topic} has {state.partitions} partitions, but an offset names a dead letter",
                hint="a dead-letter topic has one partition: `feed topics plan`",
            )

    def records(self, *, beyond: int = -1) -> Generator[Stored]:
        """Every committed record, up to the end; at least to behind offset ``beyond``.

        Raises:
            RetryableError: it gave neither a record nor its end for :data:`STALL_BOUND_S`.
        """
        yield from self._from(OFFSET_BEGINNING, beyond)

    def record(self, offset: int) -> Stored:
        """The record at an offset.

        Raises:
            ConfigError: there is none.
        """
        with closing(self._from(max(offset, 0), -1)) as records:
            found = next(records, None)
        if found is None or found.offset != offset:
            raise ConfigError(
                f"{self.topic} has no record at offset {offset}", hint="`feed dead-letters list` has them"
            )
        return found

    def _from(self, begin: int, beyond: int) -> Generator[Stored]:
        reader = self._clients.reader()
        try:
            reader.assign([TopicPartition(self.topic, 0, begin)])
            moved_s = self._clock_s()
            while True:
                messages = reader.consume(BATCH, POLL_S)
                for message in messages:
                    error = message.error()
                    if error is None:
                        moved_s = self._clock_s()
                        yield stored(message)
                    elif error.code() == _NO_SUCH_OFFSET and begin >= 0:
                        return
                    elif error.code() != _END:
                        raise error_of(error, f"reading {self.topic}")
                    elif (message.offset() or 0) > beyond:
                        return
                if self._clock_s() - moved_s > STALL_BOUND_S:
                    raise RetryableError(
                        f"{self.topic} gave neither a record nor its end for {STALL_BOUND_S:.0f} s",
                        hint="an open transaction holds readers back: see kafka-transactions.sh find-hanging",
                    )
        finally:
            reader.close()


def stored(message: Message) -> Stored:
    """A fetched message as a value."""
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    kept: Headers = tuple((name, text.encode() if isinstance(text, str) else text or b"") for name, text in pairs)
    return Stored(message.offset() or 0, message.timestamp()[1], message.key(), message.value(), kept)
