"""A stream record's dead letter, translated again and published: once, or not at all.

The slot's transactional id belongs to the worker that runs, and is not touched: retries have an id of their own. It
fences another retry of the same feed, and ends what that one left open, so only one at a time can publish. The change
and the marker that tells its dead letter as retried are one transaction; a retry first reads the topic to behind a mark
of its own, hence sees the markers of all retries before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import orjson
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.kafka import MAX_RECORD_BYTES, KafkaClients, error_of
from feed.operate.letters import MARK, Stored, marker
from producers.snapshot import SNAPSHOT_STAGE, RowContext, row_change
from producers.stream import FeedSource
from producers.stream.translate import sequence_of, translator
from schemas.change import Change
from schemas.codec import ChangeCodec
from schemas.errors import FatalError, FeedError, PoisonError, RetryableError
from schemas.headers import headers_of
from schemas.key import key_bytes

ID_SUFFIX: Final = ".dead-letter-retry"
"""Of the transactional id, behind the feed's name."""

CALL_BOUND_S: Final = 20.0
COMMIT_TRIES: Final = 4
"""A commit that timed out may still happen: only the same call again tells."""

RECORD_MARGIN_BYTES: Final = 64 * 1024
"""Room for a record's key and headers below Kafka's limit; as for workers."""

_RECORD_MAX_BYTES: Final = MAX_RECORD_BYTES - RECORD_MARGIN_BYTES

Outgoing = tuple[bytes, bytes, list[tuple[str, bytes]], int]
"""Key, value, headers, timestamp in ms."""


def change_of(letter: Stored, source: FeedSource, codec: ChangeCodec) -> Outgoing:
    """The change or row that a dead letter becomes now: same shard, ordinal, sequence, epoch and time of capture.

    Raises:
        PoisonError: it still cannot become one.
    """
    said = letter.texts()
    try:
        stream, shard = said["ce_source"], said["ce_shard"]
        ordinal, epoch = int(said["ce_ordinal"]), int(said["ce_epoch"])
        record = orjson.loads(letter.value or b"")
        if said.get("dead_letter_stage") == SNAPSHOT_STAGE:
            context = RowContext(source, codec, codec.key_attributes, _RECORD_MAX_BYTES)
            row = row_change(record, shard, ordinal, context, epoch=epoch, at_ms=letter.at_ms)
            return _outgoing(row, codec)
        sequence = sequence_of(record)
    except (KeyError, ValueError, TypeError) as error:
        raise PoisonError(
            f"the record at offset {letter.offset} is no dead letter of a producer: {error!r}",
            hint="something else wrote to the dead-letter topic",
        ) from error
    if said.get("ce_sequence") != str(sequence):
        raise PoisonError(
            f"the record at offset {letter.offset} has sequence number {sequence}, its header says otherwise",
            hint="something else wrote to the dead-letter topic",
        )
    translate = translator(source, codec, stream=stream, shard=shard, epoch=epoch)
    return _outgoing(translate(record, sequence, ordinal, letter.at_ms), codec)


def _outgoing(change: Change, codec: ChangeCodec) -> Outgoing:
    value = codec.encode(change)
    if len(value) > _RECORD_MAX_BYTES:
        raise PoisonError(f"the change has {len(value)} bytes", hint="raise the topic's and clients' limits")
    return key_bytes(change.key), value, headers_of(change), change.occurred_at_ms


class ChangeRetry:
    """The one retry of a feed that may publish, until another starts."""

    def __init__(self, clients: KafkaClients, feed: str, now_ms: Callable[[], int]) -> None:
        self._feed, self._letters, self._now_ms = feed, f"{feed}.dead-letter", now_ms
        self._producer: Producer = clients.transactional_producer(feed + ID_SUFFIX)

    def start(self) -> int:
        """Fence any other retry and write the mark; returns its offset.

        Everything that a former retry has committed lies below it.

        Raises:
            RetryableError: the cluster is busy or away.
            FatalError: the id is not allowed, or another retry has started since.
        """
        try:
            self._producer.init_transactions(CALL_BOUND_S)
        except KafkaException as error:
            raise error_of(error.args[0], "starting a retry") from error
        offsets: list[int] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                offsets.append(message.offset() or 0)

        self._transaction(
            [(self._letters, b"@mark", None, ((MARK, b"%d" % self._now_ms()),), self._now_ms())], delivered
        )
        self._producer.poll(0)
        if not offsets:
            raise RetryableError("the mark of the retry was committed without an offset", hint="try again")
        return offsets[0]

    def publish(self, letter: Stored, change: Outgoing) -> None:
        """The change, and its dead letter told as retried, at once or not at all.

        Raises:
            RetryableError: nothing of it is seen.
            FatalError: another retry has started since, or the outcome is not known; `list` shows it.
        """
        key, value, headers, at_ms = change
        told = (self._letters, letter.key, None, marker(letter.offset, "published"), self._now_ms())
        self._transaction([(self._feed, key, value, headers, at_ms), told])

    def _transaction(
        self,
        records: Sequence[tuple[str, bytes | None, bytes | None, Sequence[tuple[str, bytes]], int]],
        delivered: Callable[[KafkaError | None, Message], None] | None = None,
    ) -> None:
        producer = self._producer
        try:
            producer.begin_transaction()
            for topic, key, value, headers, at_ms in records:
                producer.produce(topic, value, key, headers=list(headers), timestamp=at_ms, on_delivery=delivered)
        except KafkaException as error:
            raise self._undone(error.args[0]) from error
        try:
            self._commit()
        except KafkaException as error:
            fault = error.args[0]
            if fault.txn_requires_abort() or fault.fatal():
                raise self._undone(fault) from error
            raise FatalError(
                f"the outcome of the retry is not known: {fault.name()} ({fault.str()})",
                hint="`feed dead-letters list` shows it once the cluster answers",
            ) from error

    def _commit(self) -> None:
        for number in range(1, COMMIT_TRIES + 1):
            try:
                self._producer.commit_transaction(CALL_BOUND_S)
            except KafkaException as error:
                if not error.args[0].retriable() or number == COMMIT_TRIES:
                    raise
            else:
                return

    def _undone(self, fault: KafkaError) -> FeedError:
        """End the transaction, so that it does not hold readers back; what to raise then."""
        text = f"{fault.name()} ({fault.str()})"
        if fault.fatal():
            return FatalError(
                f"the retry was fenced or broken: {text}",
                hint="does another `feed dead-letters retry` run? only one at a time publishes",
            )
        self._abort()
        if fault.txn_requires_abort() or fault.retriable():
            return RetryableError(f"the retry was aborted: {text}", hint="nothing of it is seen; try again")
        return error_of(fault, "retrying a dead letter; nothing of it is seen")

    def _abort(self) -> None:
        try:
            self._producer.abort_transaction(CALL_BOUND_S)
        except KafkaException as error:
            raise FatalError(
                f"the retry could not be aborted: {error.args[0].str()}",
                hint="its transaction times out by itself; then nothing of it is seen",
            ) from error
