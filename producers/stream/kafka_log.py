"""The port to Kafka that writes: a transactional producer for each slot, and the reader of its partition."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Any

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from connectors.kafka import KafkaClients, error_of
from producers.stream.ports import BatchAbortedError, Headers, SlotLostError
from producers.stream.positions_topic import COMPLETE_KEY, MOVED_KEY, moved_error, positions_name, slot_id
from producers.stream.settings import ProducerSettings
from schemas.errors import ConfigError, FatalError, FeedError, RetryableError
from schemas.snapshot import snapshot_topic

METADATA_BOUND_S = 20.0
OFFSETS_BOUND_S = 5.0
READ_BACK_BOUND_S = 30.0
"""How long reading a slot back may take without getting on."""

READ_BACK_FETCH_MS = 20
"""How long the broker may hold the last, empty fetch, which shows the end."""

QUEUE_FULL_WAIT_S = 0.05
MARK_KEY = b"@mark"
_NO_OFFSET = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
"""Where the reader was to begin is not there (any more)."""

_log = logging.getLogger(__name__)
_LOST = "another worker has the slot, or it was away for too long; it is taken anew while the group assigns it"
_ABORTED = "nothing of the batch is seen; it is read and published again from the saved positions"


def _refused(error: KafkaError, doing: str) -> FeedError:
    """What a transactional call's error asks for."""
    text = f"Kafka failed while {doing}: {error.name()} ({error.str()})"
    if error.fatal():
        return SlotLostError(text, hint=_LOST)
    if error.txn_requires_abort():
        return BatchAbortedError(text, hint=_ABORTED)
    # any other state is not one to go on from: a new producer's init clears it
    return SlotLostError(text, hint=_LOST)


class KafkaSlotLog:
    """A slot's producer."""

    def __init__(self, producer: Producer, slot: int, settings: ProducerSettings, positions: str = "") -> None:
        self._producer, self._slot, self._settings, self._positions = producer, slot, settings, positions
        self._open = False

    def begin(self) -> None:
        """See :class:`producers.stream.ports.SlotLog`."""
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise _refused(error.args[0], f"opening a transaction of slot {self._slot}") from error
        self._open = True

    def publish(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        timestamp_ms: int,
        *,
        partition: int = -1,
    ) -> None:
        """See :class:`producers.stream.ports.SlotLog`."""
        producer = self._producer
        deadline = 0.0
        while True:
            try:
                producer.produce(topic, value, key, partition, timestamp=timestamp_ms, headers=headers)  # type: ignore[arg-type]  # the stub wants a list of headers, the client takes any sequence
            except BufferError:
                # the client's own bound: wait for the broker to take some
                now = time.monotonic()
                deadline = deadline or now + self._settings.commit_timeout_ms / 1_000
                if now > deadline:
                    raise BatchAbortedError("Kafka takes no records", hint=_ABORTED) from None
                self._wait_for_room(topic)
                continue
            except KafkaException as error:
                if error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    raise FatalError(
                        f"a record of {len(value or b'')} bytes for {topic} is larger than the client may send",
                        hint="raise message.max.bytes in client_overrides and max.message.bytes of the topic",
                    ) from error
                raise _refused(error.args[0], f"publishing to {topic}") from error
            return

    def save(self, key: bytes, value: bytes | None, timestamp_ms: int) -> None:
        """See :class:`producers.stream.ports.SlotLog`."""
        self.publish(self._positions, key, value, [], timestamp_ms, partition=self._slot)

    def _wait_for_room(self, topic: str) -> None:
        try:
            self._producer.poll(QUEUE_FULL_WAIT_S)
        except KafkaException as error:
            raise _refused(error.args[0], f"publishing to {topic}") from error

    def commit(self) -> None:
        """See :class:`producers.stream.ports.SlotLog`."""
        self._repeat(self._producer.commit_transaction, "committing")
        self._open = False

    def abort(self) -> None:
        """See :class:`producers.stream.ports.SlotLog`."""
        if not self._open:
            return
        self._open = False
        try:
            self._repeat(self._producer.abort_transaction, "aborting")
        except BatchAbortedError as error:
            raise SlotLostError(str(error), hint=_LOST) from error

    def mark(self, topic: str) -> int:
        """Write a tombstone that no one needs into the slot's own partition; its offset.

        What was written before it lies below that offset: a reader that reaches it has read the slot to its end,
        whatever high watermark a broker reports that has just come back.
        """
        offsets: list[int] = []

        def delivered(error: KafkaError | None, message: Any) -> None:
            if error is None:
                offsets.append(message.offset())

        self.begin()
        try:
            self._producer.produce(topic, None, MARK_KEY, self._slot, on_delivery=delivered)
            self.commit()
            self._producer.poll(0)
        except KafkaException as error:
            raise _refused(error.args[0], f"marking the end of slot {self._slot}") from error
        if not offsets:
            raise SlotLostError(f"the mark of slot {self._slot} was committed without an offset", hint=_LOST)
        return offsets[0]

    def _repeat(self, call: Any, doing: str) -> None:
        """A commit that timed out may still happen: only the same call again tells, never another one."""
        doing = f"{doing} a transaction of slot {self._slot}"
        deadline = time.monotonic() + 4 * self._settings.commit_timeout_ms / 1_000
        while True:
            try:
                call(self._settings.commit_timeout_ms / 1_000)
            except KafkaException as error:
                fault = error.args[0]
                if not fault.retriable() or time.monotonic() > deadline:
                    raise _refused(fault, doing) from error
                _log.warning("repeating slot=%d doing=%s error=%s", self._slot, doing, fault.str())
                continue
            return

    def close(self) -> None:
        """See :class:`producers.stream.ports.SlotLog`."""
        self._producer.purge()
        # a client that was fenced raises that from here again: the slot's loss is what told it
        with contextlib.suppress(KafkaException):
            self._producer.poll(0)


class KafkaLog:
    """Kafka, as slots see it; ``version`` is that of the positions topic."""

    def __init__(self, clients: KafkaClients, feed: str, settings: ProducerSettings, *, version: int = 1) -> None:
        self._clients, self._feed, self._settings, self._version = clients, feed, settings, version
        self._admin, self._admin_lock = clients.admin(), threading.Lock()
        self._topic = positions_name(feed, version)
        self._taken: dict[int, KafkaSlotLog] = {}

    def slots(self) -> int:
        """Partitions of the positions topic. Raises ConfigError when there is none."""
        try:
            topics = self._admin.list_topics(timeout=METADATA_BOUND_S).topics
        except KafkaException as error:
            raise error_of(error.args[0], "listing topics") from error
        feed = self._feed
        for name in (feed, f"{feed}.control", f"{feed}.dead-letter", snapshot_topic(feed), self._topic):
            if name not in topics or topics[name].error is not None:
                raise ConfigError(f"there is no topic {name}", hint="create the feed's topics: feed topics apply")
        return len(topics[self._topic].partitions)

    def _transactional_id(self, slot: int) -> str:
        return slot_id(self._feed, self._version, slot)

    def take(self, slot: int) -> KafkaSlotLog:
        """See :class:`producers.stream.ports.Log`."""
        producer = self._clients.transactional_producer(
            self._transactional_id(slot), transaction_timeout_ms=self._settings.transaction_timeout_ms
        )
        try:
            # connects first: an init that finds no connection is tried again by the client half a second later only
            producer.list_topics(self._topic, timeout=self._settings.init_timeout_ms / 1_000)
            producer.init_transactions(self._settings.init_timeout_ms / 1_000)
        except KafkaException as error:
            fault = error.args[0]
            if fault.code() in (
                KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                KafkaError.INVALID_TRANSACTION_TIMEOUT,
            ):
                raise error_of(fault, f"taking slot {slot}") from error
            raise RetryableError(
                f"Kafka failed while taking slot {slot}: {fault.name()} ({fault.str()})",
                hint="the cluster is busy or away; the slot is tried again with back-off",
            ) from error
        self._taken[slot] = KafkaSlotLog(producer, slot, self._settings, self._topic)
        return self._taken[slot]

    def read_back(self, slot: int) -> list[tuple[bytes, bytes | None]]:
        """See :class:`producers.stream.ports.Log`."""
        entries = self.entries(slot)
        if (value := dict(entries).get(MOVED_KEY)) is not None:
            raise moved_error(self._topic, value)
        return [entry for entry in entries if entry[0] != COMPLETE_KEY]

    def entries(self, slot: int) -> list[tuple[bytes, bytes | None]]:
        """All that stands in the slot, what tells of a resize too. Raises as :meth:`read_back`."""
        taken = self._taken.get(slot)
        mark = -1 if taken is None else self._mark(taken)
        end = self._offset(slot, OffsetSpec.latest())  # type: ignore[no-untyped-call]  # the client has no types here
        # a number, not "the beginning": the client would look that up itself, half a second later
        begin = self._offset(slot, OffsetSpec.earliest())  # type: ignore[no-untyped-call]  # as above
        if end <= mark:
            _log.warning("high watermark behind slot=%d watermark=%d mark=%d begin=%d", slot, end, mark, begin)
        reader = self._clients.reader(**{"fetch.wait.max.ms": READ_BACK_FETCH_MS})
        try:
            reader.assign([TopicPartition(self._topic, slot, begin)])
            return self._read_to(reader, slot, begin, max(end, mark + 1))
        finally:
            reader.close()

    def _mark(self, taken: KafkaSlotLog) -> int:
        try:
            return taken.mark(self._topic)
        except BatchAbortedError as error:
            raise SlotLostError(str(error), hint=_LOST) from error

    def _offset(self, slot: int, which: OffsetSpec, isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED) -> int:
        """The slot's first offset or its high watermark; with ``READ_COMMITTED`` its last stable offset."""
        partition = TopicPartition(self._topic, slot)
        # held until the answer is there, whoever replaces it meanwhile: see below
        admin = self._admin
        asked = admin.list_offsets(
            {partition: which},
            isolation_level=isolation,
            request_timeout=OFFSETS_BOUND_S,
        )
        try:
            offset = int(asked[partition].result(2 * OFFSETS_BOUND_S).offset)
        except (KafkaException, TimeoutError) as error:
            self._replace(admin)
            raise RetryableError(
                f"Kafka failed while asking for the ends of slot {slot}: {error!r}",
                hint="it is tried again with back-off",
            ) from error
        if offset < 0:
            # A request that failed as a whole (no answer in time, connection lost, client destroyed) comes back without
            # an error, with -1001, librdkafka's "no offset". Taken for an end it would make the slot look empty, and
            # all that it has published would be published again.
            self._replace(admin)
            raise RetryableError(
                f"Kafka did not answer when asked for the ends of slot {slot}", hint="it is tried again with back-off"
            )
        return offset

    def _replace(self, failed: AdminClient) -> None:
        """Ask with a new client from now on.

        A client keeps the leader epochs that it has learnt, and after a broker's restart is refused for ever with them
        (FENCED_LEADER_EPOCH). Slots ask at the same time: the first that fails replaces it for all, and the others'
        requests go on with the one that they hold.
        """
        with self._admin_lock:
            if self._admin is failed:
                self._admin = self._clients.admin()

    def _read_to(self, reader: Consumer, slot: int, reached: int, end: int) -> list[tuple[bytes, bytes | None]]:
        entries: dict[bytes, bytes | None] = {}
        deadline = time.monotonic() + READ_BACK_BOUND_S
        trouble: KafkaError | None = None
        while reached < end:
            # consume() waits for as many as it was asked for: wait for one, then take what is there
            first = reader.poll(0.5)
            for message in [] if first is None else [first, *reader.consume(1_000, 0)]:
                fault = message.error()
                if fault is None:
                    entries[message.key() or b""] = message.value()
                    reached, trouble = (message.offset() or 0) + 1, None
                    deadline = time.monotonic() + READ_BACK_BOUND_S
                elif fault.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
                    # behind the last record stand only markers: the end that the reader may see
                    reached, trouble = max(reached, message.offset() or 0), None
                elif _ends_reading(fault):
                    raise _not_read(fault, slot)
                else:
                    trouble = fault
            if reached < end and time.monotonic() > deadline:
                raise self._stands_still(slot, reached, end, trouble)
        return list(entries.items())

    def _stands_still(self, slot: int, reached: int, end: int, trouble: KafkaError | None) -> FeedError:
        """Why reading a slot back does not get on: what the client said last, or else a transaction that hangs."""
        if trouble is not None:
            return _not_read(trouble, slot)
        stable = self._offset(slot, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)  # type: ignore[no-untyped-call]  # the client has no types here
        if stable >= end:
            return RetryableError(
                f"slot {slot} stands at offset {reached} of {end}, though all of it can be read",
                hint="the broker is busy; it is tried again with back-off",
            )
        return FatalError(
            f"slot {slot} cannot be read to its end: a transaction hangs between offset {stable} and {end}",
            hint=f"find it with kafka-transactions.sh find-hanging / describe-producers --topic {self._topic} "
            f"--partition {slot}, and abort it",
        )


def _ends_reading(fault: KafkaError) -> bool:
    """Whether this reader will not get on by itself: it has no offset to go on from, or is not let in."""
    return fault.fatal() or fault.code() in _NO_OFFSET or isinstance(error_of(fault, ""), FatalError)


def _not_read(fault: KafkaError, slot: int) -> RetryableError:
    known = error_of(fault, f"reading slot {slot} back")
    if fault.code() in _NO_OFFSET:
        return RetryableError(
            str(known), hint="the slot's beginning moved, or its broker lost records; its ends are asked for anew"
        )
    # a missing permission may be granted, a topic may come back: tried again with back-off, and red meanwhile
    return RetryableError(str(known), hint=known.hint)
