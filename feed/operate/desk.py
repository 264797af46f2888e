"""The dead letters of the producer, or of one consumer: looked at and retried."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

import orjson

from connectors.aws import AwsClients
from connectors.kafka import KafkaClients
from connectors.telemetry import Telemetry
from consumers.runtime import KafkaBroker, RecordSink
from feed.config import FeedConfig
from feed.config.consumers import AnyConsumer
from feed.operate.letter_topic import LetterTopic
from feed.operate.letters import Letter, Stored, letters_of, marker, open_letters
from feed.operate.retry_effect import retry_effect
from feed.run.codec import codec_of
from feed.run.process import Process, now_ms
from feed.run.sinks import sink_of
from feed.run.source import source_of
from schemas.codec import ChangeCodec
from schemas.errors import ConfigError, FeedError, PoisonError, RetryableError

MARKER_BOUND_S: Final = 20.0
"""How long the dead-letter topic may take to acknowledge a marker."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one retry."""

    offset: int
    outcome: str
    stays_open: bool = False


class Desk:
    """One dead-letter topic, with what is needed to read it and to try its records again."""

    def __init__(self, config: FeedConfig, consumer: str | None) -> None:
        """Check that the topic is there.

        Raises:
            ConfigError: there is no such consumer, or its topic is not there.
        """
        self._config, self._name = config, consumer
        self._section = None if consumer is None else _section(config, consumer)
        self.topic = f"{config.feed}.dead-letter" if consumer is None else f"{config.feed}.{consumer}.dead-letter"
        region = config.table.region if self._section is None else self._section.region
        self._clients = KafkaClients(config.regions[region].kafka, client_id="feed-dead-letters")
        self._reader = LetterTopic(self._clients, self.topic)
        self._reader.check(region)

    def letters(self, *, beyond: int = -1) -> list[Letter]:
        """All of them, retried ones too, without their values."""
        return letters_of(self._reader.records(beyond=beyond))

    def shown(self, offset: int) -> bytes:
        """One of them whole, as JSON."""
        stored = self._reader.record(offset)
        said: dict[str, Any] = {
            "offset": offset,
            "at_ms": stored.at_ms,
            "key": (stored.key or b"").decode(errors="backslashreplace"),
            "headers": stored.texts(),
        }
        value = self._from_stream if self._section is None else self._from_topic
        return orjson.dumps(said | value(stored.value or b""), default=_text, option=orjson.OPT_INDENT_2)

    def retry(self, offsets: tuple[int, ...], *, limit: int) -> Iterator[Tried]:
        """Try dead letters again in the order of their offsets; without ``offsets`` the oldest ``limit`` open ones.

        Raises:
            ConfigError: one of the offsets is no dead letter, or was retried; or the sink takes no single records.
            FeedError: the cluster failed; what was yielded before stands.
        """
        return self._retry_changes(offsets, limit) if self._section is None else self._retry_effects(offsets, limit)

    def _retry_changes(self, offsets: tuple[int, ...], limit: int) -> Iterator[Tried]:
        from feed.operate.retry_change import ChangeRetry, change_of  # noqa: PLC0415 - with the producer: only here

        source = source_of(self._config)
        codec = self._codec
        # looked at first, so that a wrong offset writes nothing; and again behind the mark, where it counts
        chosen(self.letters(), offsets, limit)
        publishing = ChangeRetry(self._clients, self._config.feed, now_ms)
        mark = publishing.start()
        for letter in chosen(self.letters(beyond=mark), offsets, limit):

            def publish(stored: Stored) -> str:
                publishing.publish(stored, change_of(stored, source, codec))
                return "published"

            yield self._tried(letter, publish)

    def _retry_effects(self, offsets: tuple[int, ...], limit: int) -> Iterator[Tried]:
        sink, broker = self._sink(), self._broker
        letters = chosen(self.letters(), offsets, limit)

        def handle(stored: Stored) -> str:
            outcome = retry_effect(stored, sink, decode=self._codec.decode, sleep=time.sleep)
            # behind the effect: a crash in between repeats it, and the sink knows a repeat
            broker.append(self.topic, stored.key, None, list(marker(stored.offset, outcome)), MARKER_BOUND_S)
            return outcome

        for letter in letters:
            yield self._tried(letter, handle)
        broker.close()

    def _tried(self, letter: Letter, attempt: Callable[[Stored], str]) -> Tried:
        try:
            return Tried(letter.offset, attempt(self._reader.record(letter.offset)))
        except PoisonError as error:
            return Tried(letter.offset, f"still refused: {error}", stays_open=True)
        except RetryableError as error:
            return Tried(letter.offset, f"not now: {error}", stays_open=True)

    def _sink(self) -> RecordSink:
        section, name = self._section, f"{self._config.feed}-{self._name}-retry"
        if section is None:
            raise AssertionError("the producer has no sink")
        sink = sink_of(
            section,
            topic=self._config.feed,
            image=self._config.table.image_schema,
            codec=self._codec,
            aws=AwsClients(self._config.regions[section.region].aws),
            process=Process(name, Telemetry(name)),
        )
        if not isinstance(sink, RecordSink):
            raise ConfigError(
                f"the consumer {self._name} takes records in batches, chained by the offsets of its partitions: "
                "a single one cannot be added from outside",
                hint="the record stays whole in the dead letters: `feed dead-letters show`",
            )
        return sink

    @cached_property
    def _broker(self) -> KafkaBroker:
        if self._section is None:
            raise AssertionError("the producer's dead letters are told as retried in the retry's own transaction")
        return KafkaBroker(self._clients, self._section.runtime)

    @cached_property
    def _codec(self) -> ChangeCodec:
        return codec_of(self._config)

    def _from_stream(self, value: bytes) -> dict[str, Any]:
        try:
            return {"value": orjson.loads(value)}
        except orjson.JSONDecodeError as error:
            return {"undecoded": str(error), "value_hex": value.hex()}

    def _from_topic(self, value: bytes) -> dict[str, Any]:
        try:
            return {"value": self._codec.record_of(self._codec.decode(value))}
        except FeedError as error:  # also a schema that is not known here, and a registry that is away
            return {"undecoded": str(error), "value_hex": value.hex()}


def chosen(letters: list[Letter], offsets: tuple[int, ...], limit: int) -> list[Letter]:
    """Those to retry; pure.

    Raises:
        ConfigError: one of the offsets is no dead letter, or was retried.
    """
    if not offsets:
        return open_letters(letters)[:limit]
    known = {letter.offset: letter for letter in letters}
    faults = tuple(
        f"offset {offset} is no dead letter" if offset not in known else f"the dead letter {offset} was retried"
        for offset in sorted(set(offsets))
        if offset not in known or not known[offset].open
    )
    if faults:
        raise ConfigError(
            faults[0], hint="nothing was retried; `feed dead-letters list` has the open ones", faults=faults
        )
    return [known[offset] for offset in sorted(set(offsets))]


def _section(config: FeedConfig, name: str) -> AnyConsumer:
    section = config.consumers.get(name)
    if section is None:
        known = ", ".join(sorted(config.consumers)) or "none"
        raise ConfigError(f"feed.yaml has no consumer {name!r}", hint=f"known: {known}")
    return section


def _text(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else bytes(value).hex()
