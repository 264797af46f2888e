"""A real cluster, as far as a consumer needs one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import closing
from typing import cast

from confluent_kafka import (
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from connectors.kafka import KafkaClients, error_of, group_offsets, last_record, topic_id_text
from consumers.runtime.client import CommitCallback, GroupClient, TopicIdentity
from consumers.runtime.contracts import Record
from consumers.runtime.settings import RuntimeSettings
from schemas.errors import ConfigError, FatalError, FeedError, RetryableError

LEAST_PREFETCH = 100
"""Records of one partition that are kept ready at least, however many partitions there are."""


class KafkaBroker:
    """Builds what the loop uses from the one factory of clients."""

    def __init__(self, clients: KafkaClients, settings: RuntimeSettings) -> None:
        self._clients = clients
        self._settings = settings
        self._producer: Producer | None = None
        self._admin: AdminClient | None = None
        self._partitions = 1
        self._lock = threading.Lock()

    def join(self, group: str, on_commit: CommitCallback) -> GroupClient:
        """A new member of the group."""
        settings = self._settings
        consumer = self._clients.group_consumer(
            group,
            protocol=settings.protocol,
            session_timeout_ms=settings.session_timeout_ms,
            static_member_id=settings.static_member_id,
            on_commit=on_commit,
            **{
                # the end of a partition shows how far its transaction markers reach, so that a lag of zero can be told
                "enable.partition.eof": True,
                # of each partition, and its default of 100,000 is more memory than anything else here
                "queued.min.messages": max(LEAST_PREFETCH, settings.prefetch_records // self._partitions),
                "queued.max.messages.kbytes": settings.prefetch_bytes // 1024,
            },
        )
        return cast("GroupClient", consumer)  # the stubs name parameters in their own way

    def identify(self, topic: str, timeout_s: float) -> TopicIdentity:
        """Ask the cluster for its id and the topic's."""
        admin = self._asker()
        doing = f"looking up topic {topic}"
        try:
            cluster = admin.describe_cluster(request_timeout=timeout_s).result(timeout_s + 1)
            asked = admin.describe_topics(TopicCollection([topic]), request_timeout=timeout_s)
            described = asked[topic].result(timeout_s + 1)
        except FutureTimeoutError as error:
            raise RetryableError(f"no answer while {doing}", hint="is the cluster up and reachable?") from error
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise ConfigError(
                    f"topic {topic} does not exist at {self._clients.settings.bootstrap_servers}",
                    hint="`feed topics apply` creates the feed's topics; in a mirror's target MirrorMaker fills it",
                ) from error
            raise error_of(error.args[0], doing) from error
        self._partitions = len(described.partitions)
        return TopicIdentity(
            cluster_id=str(cluster.cluster_id),
            topic_id=topic_id_text(described.topic_id),
            topic=topic,
            partitions=len(described.partitions),
        )

    def append(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], timeout_s: float
    ) -> None:
        """Produce one record and wait for its acknowledgement."""
        answers: list[KafkaError | None] = []

        def answered(error: KafkaError | None, _message: Message) -> None:
            answers.append(error)

        producer = self._own_producer()
        try:
            producer.produce(topic, value, key, headers=[*headers], on_delivery=answered)
        except (KafkaException, BufferError) as error:
            raise _refused(error.args[0], topic) from error
        deadline = time.monotonic() + timeout_s
        while not answers and time.monotonic() < deadline:
            producer.poll(0.05)
        if not answers:
            raise RetryableError(f"{topic} did not acknowledge a record in {timeout_s:.0f} s", hint="it is tried again")
        if answers[0] is not None:
            raise _refused(answers[0], topic)

    def last_record(self, topic: str, partition: int, timeout_s: float) -> Record | None:
        """By a reader of its own, in no group."""
        with closing(self._clients.reader()) as reader:
            found = last_record(reader, topic, partition, bound_s=timeout_s)
        return cast("Record | None", found)

    def group_offset(self, group: str, topic: str, partition: int, timeout_s: float) -> int | None:
        """Ask the group's coordinator."""
        (found,) = group_offsets(self._clients, group, [TopicPartition(topic, partition)], bound_s=timeout_s)
        return None if found.offset < 0 else int(found.offset)

    def close(self) -> None:
        """Nothing is left to send: every append waited for its answer."""
        with self._lock:
            self._producer = self._admin = None

    def _asker(self) -> AdminClient:
        """One client for all questions: some are asked every few seconds."""
        with self._lock:
            if self._admin is None:
                self._admin = self._clients.admin()
            return self._admin

    def _own_producer(self) -> Producer:
        with self._lock:
            if self._producer is None:
                bound_ms = self._settings.dead_letter_bound_ms
                # room for what the context headers add to a record of the largest size
                size = {"message.max.bytes": 8 * 1024 * 1024, "linger.ms": 0, "delivery.timeout.ms": bound_ms}
                self._producer = self._clients.producer(**size)
            return self._producer


def _refused(error: object, topic: str) -> FeedError:
    if not isinstance(error, KafkaError):
        return RetryableError(f"the queue to {topic} is full", hint="it is tried again")
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return FatalError(
            f"a dead letter is larger than {topic} takes, and is never dropped",
            hint=f"raise max.message.bytes of {topic} above that of the topic it came from",
        )
    return error_of(error, f"writing to {topic}")
