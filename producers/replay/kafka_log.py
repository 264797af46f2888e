"""The topic of a replay on a cluster: made, read back, written in transactions, deleted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import closing
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from connectors.kafka import (
    ADMIN_BOUND_S,
    KafkaClients,
    TopicSpec,
    apply_plan,
    describe_topics,
    error_of,
    first_record,
    last_record,
    plan_topics,
    watermarks,
)
from producers.replay.state import ReplayState, state_of
from schemas.errors import ConfigError, FatalError, FeedError, RetryableError

Headers = Sequence[tuple[str, bytes]]

INIT_BOUND_S: Final = 30.0
READ_BACK_BOUND_S: Final = 60.0
"""How long finding the ends of one partition may take: longer than an abandoned transaction lives."""

VISIBLE_BOUND_S: Final = 20.0
"""How long a new topic may take to be seen, and a deleted one to be gone."""

EMPTY_BOUND_S: Final = 60.0
"""How long the members that read the last replay may take to leave."""

COMMIT_TRIES: Final = 4
QUEUE_FULL_WAIT_S: Final = 0.05

_log = logging.getLogger(__name__)
_FENCED = "another `feed replay` of this group has taken over; what was not committed is not seen"


class ReplayTopic:
    """One topic of a replay, which may not be there."""

    def __init__(self, clients: KafkaClients, topic: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._clients, self.topic, self._sleep = clients, topic, sleep

    def partitions(self) -> int | None:
        """How many it has; None when there is no such topic."""
        state = describe_topics(self._clients.admin(), [self.topic]).get(self.topic)
        return None if state is None else state.partitions

    def create(self, spec: TopicSpec, *, read_by: str) -> None:
        """Make it, and return when it is there.

        First the group that reads replays is deleted, with what it has committed in an earlier life of the topic: it
        must be empty, so that no member commits such an offset afterwards.

        Raises:
            ConfigError: it is there already, the group still has members, or the cluster has not enough brokers.
        """
        admin = self._clients.admin()
        self._forget(admin, read_by)
        try:
            apply_plan(admin, plan_topics([spec], {}))
        except FatalError as error:
            if self.partitions() is None:
                raise ConfigError(f"topic {self.topic} cannot be made: {error}", hint=error.hint) from error
            raise ConfigError(
                f"a replay into {self.topic} is under way: somebody made the topic just now",
                hint="let it end, or look again in a minute",
            ) from error
        self._until(lambda: self.partitions() == spec.partitions, "seen")

    def _forget(self, admin: AdminClient, group: str) -> None:
        deadline = time.monotonic() + EMPTY_BOUND_S
        while True:
            try:
                admin.delete_consumer_groups([group], request_timeout=ADMIN_BOUND_S)[group].result(ADMIN_BOUND_S)
            except KafkaException as error:
                fault = error.args[0]
                if fault.code() == KafkaError.GROUP_ID_NOT_FOUND:
                    return
                if fault.code() == KafkaError.NON_EMPTY_GROUP:
                    judged: FeedError = ConfigError(
                        f"group {group} still has members, of a replay that is over",
                        hint="its consumers leave within seconds of the topic's end: see their logs, then try again",
                    )
                else:  # a coordinator that moves or has just started says so for a second or two
                    judged = error_of(fault, f"deleting group {group}")
                lasting = fault.code() != KafkaError.NON_EMPTY_GROUP and not isinstance(judged, RetryableError)
                if lasting or time.monotonic() > deadline:
                    raise judged from error
                self._sleep(0.5)
            except FutureTimeoutError as error:
                raise RetryableError(f"no answer while deleting group {group}", hint="do it again") from error
            else:
                return

    def delete(self) -> None:
        """Delete it, and return when it is gone."""
        admin = self._clients.admin()
        try:
            admin.delete_topics([self.topic], operation_timeout=ADMIN_BOUND_S)[self.topic].result(ADMIN_BOUND_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise error_of(error.args[0], f"deleting {self.topic}") from error
        except FutureTimeoutError as error:
            raise RetryableError(f"no answer while deleting {self.topic}", hint="do it again") from error
        self._until(lambda: self.partitions() is None, "gone")

    def state(self, partitions: int) -> ReplayState | None:
        """How far the replay in it has come; None when nothing was sent.

        Raises:
            RetryableError: a transaction of a sender that still runs, or died a moment ago, hides its end.
        """
        with closing(self._clients.reader()) as reader:
            firsts, lasts = [], []
            for number in range(partitions):
                low, _ = watermarks(reader, self.topic, number, bound_s=READ_BACK_BOUND_S)
                first = first_record(reader, self.topic, number, low, bound_s=READ_BACK_BOUND_S)
                last = last_record(reader, self.topic, number, bound_s=READ_BACK_BOUND_S)
                firsts.append(None if first is None else _headers(first))
                lasts.append(None if last is None else _headers(last))
        return state_of(firsts, lasts)

    def ends(self, partitions: int) -> list[int]:
        """The offset behind the last record of each partition: what a group has committed that has read it all."""
        ends = []
        with closing(self._clients.reader()) as reader:
            for number in range(partitions):
                last = last_record(reader, self.topic, number, bound_s=READ_BACK_BOUND_S)
                ends.append(0 if last is None else (last.offset() or 0) + 1)
        return ends

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + VISIBLE_BOUND_S
        while not condition():
            if time.monotonic() > deadline:
                raise RetryableError(f"topic {self.topic} is not {what} after {VISIBLE_BOUND_S:.0f} s", hint="wait")
            time.sleep(0.1)


class ReplayWriter:
    """The one writer of a replay's topic: its transactional id is the topic's name."""

    def __init__(self, producer: Producer, topic: str, *, commit_timeout_s: float) -> None:
        self._producer, self._topic, self._commit_timeout_s = producer, topic, commit_timeout_s

    @classmethod
    def take(cls, clients: KafkaClients, topic: str, *, commit_timeout_ms: int) -> ReplayWriter:
        """Become the writer: whoever was it before is fenced, and what it left open is aborted.

        Raises:
            RetryableError: the cluster is busy or away.
        """
        size = {"batch.num.messages": 10_000, "linger.ms": 20}
        producer = clients.transactional_producer(topic, **size)
        try:
            producer.init_transactions(INIT_BOUND_S)
        except KafkaException as error:
            raise error_of(error.args[0], f"becoming the writer of {topic}") from error
        return cls(producer, topic, commit_timeout_s=commit_timeout_ms / 1000)

    def begin(self) -> None:
        """Open a transaction."""
        self._try(self._producer.begin_transaction, "opening a transaction")

    def send(self, partition: int, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Add a record to the transaction."""
        while True:
            try:
                self._producer.produce(self._topic, value, key, partition, headers=headers)  # type: ignore[arg-type]  # the stub wants a list, the client takes any sequence
            except BufferError:
                self._producer.poll(QUEUE_FULL_WAIT_S)  # the client's own bound; delivery.timeout.ms ends it
            except KafkaException as error:
                raise self._refused(error, "sending") from error
            else:
                return

    def commit(self) -> None:
        """Make the transaction's records seen. A commit that timed out is asked again: only that tells whether it was.

        Raises:
            FatalError: another writer took over, or the cluster did not answer; nothing of the transaction is seen, or
                all of it is: the topic tells.
        """
        for tries_left in reversed(range(COMMIT_TRIES)):
            try:
                self._producer.commit_transaction(self._commit_timeout_s)
            except KafkaException as error:
                if not error.args[0].retriable() or not tries_left:
                    raise self._refused(error, "committing") from error
                _log.warning("repeating a commit topic=%s error=%s", self._topic, error.args[0].str())
            else:
                return

    def _try(self, call: Callable[[], Any], doing: str) -> None:
        try:
            call()
        except KafkaException as error:
            raise self._refused(error, doing) from error

    def _refused(self, error: KafkaException, doing: str) -> FatalError:
        fault = error.args[0]
        text = f"Kafka failed while {doing} into {self._topic}: {fault.name()} ({fault.str()})"
        fenced = fault.code() in {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}  # noqa: SLF001 (librdkafka's own code)
        return FatalError(text, hint=_FENCED if fenced else "`feed replay --resume` goes on where it stands")


def _headers(message: Message) -> list[tuple[str, bytes]]:
    found = message.headers() or []
    pairs = found.items() if isinstance(found, dict) else found
    return [(name, value) for name, value in pairs if isinstance(value, bytes)]
