"""The one factory of Kafka clients: what the promises need is set here and cannot be left out."""

from __future__ import annotations

import logging
from typing import Any, Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from connectors.kafka.auth import TokenSource, security
from connectors.kafka.settings import KafkaSettings
from schemas.errors import ConfigError, FatalError, FeedError, RetryableError

READER_GROUP = "feed.reader"
"""What a reader calls itself: librdkafka wants a name, and asks for the group's coordinator. Nothing joins it."""

GroupProtocol = Literal["classic", "consumer"]
"""``classic``: the client sets the session timeout. ``consumer`` (KIP-848): the broker does."""

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""Largest record: two images of at most 400 KB each (DynamoDB's limit for an item), with room for what Avro adds."""

FETCH_WAIT_MAX_MS = 100
"""How long a broker may hold an empty fetch; 500 by default, which every take-over would wait for once."""

CONNECT_BOUND_S = 10.0
"""How long :meth:`KafkaClients.check` waits for a cluster to answer at all."""

TRANSACTION_TIMEOUT_MS = 10_000
"""How long an abandoned transaction may hold read_committed readers back; the coordinator's scan comes on top."""

TRANSACTION_LINGER_MS = 50
"""How long a transaction's records wait for company: larger batches are fewer bytes and less work. Nothing waits for it
at a commit, which sends what is there (librdkafka's flush ignores ``linger.ms``)."""

SESSION_TIMEOUT_MS = 10_000
"""How long a classic group waits for a silent member."""

_log = logging.getLogger(__name__)

_RETRYABLE_CODES = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
        KafkaError._QUEUE_FULL,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._WAIT_COORD,  # noqa: SLF001
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.UNSTABLE_OFFSET_COMMIT,  # a transaction on the group's offsets is about to end
    }
)

_REFUSED_CODES = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)


def error_of(error: KafkaError, doing: str) -> FeedError:
    """A Kafka error as one of ours. ``doing`` completes the sentence "Kafka failed while …"."""
    text = f"Kafka failed while {doing}: {error.name()} ({error.str()})"
    if error.code() in _REFUSED_CODES:
        return FatalError(text, hint="this role may not do that: `feed rights` tells what each process needs")
    if error.fatal():
        return FatalError(text, hint="this client is fenced or broken for good; a new one must take over")
    if error.retriable() or error.code() in _RETRYABLE_CODES:
        return RetryableError(
            text,
            hint="the cluster is busy or away: a running process tries again with back-off, a command is given again",
        )
    return FatalError(text, hint="see the broker's log and the client's permissions (ACL or IAM policy)")


class KafkaClients:
    """Builds every producer, consumer and admin client of a process, for one cluster."""

    def __init__(self, settings: KafkaSettings, *, client_id: str, token_source: TokenSource | None = None) -> None:
        self.settings = settings
        self._shared: dict[str, Any] = {
            "bootstrap.servers": settings.bootstrap_servers,
            "client.id": client_id,
            # a broker that comes back is used again at once, not after 10 s of back-off
            "reconnect.backoff.max.ms": 1_000,
            "socket.keepalive.enable": True,
            "socket.nagle.disable": True,
            "logger": _log,
            **security(settings, token_source),
            **settings.client_overrides,
        }

    def producer(self, **overrides: Any) -> Producer:
        """An idempotent producer, acks from all, partitioned like the Java client does (``murmur2_random``)."""
        return Producer(self._producing(overrides))

    def transactional_producer(
        self, transactional_id: str, *, transaction_timeout_ms: int = TRANSACTION_TIMEOUT_MS, **overrides: Any
    ) -> Producer:
        """A producer whose ``init_transactions`` fences any other with this id."""
        own = {"transactional.id": transactional_id, "transaction.timeout.ms": transaction_timeout_ms}
        return Producer(self._producing({"linger.ms": TRANSACTION_LINGER_MS, **overrides}) | own)

    def group_consumer(
        self,
        group_id: str,
        *,
        protocol: GroupProtocol = "classic",
        session_timeout_ms: int = SESSION_TIMEOUT_MS,
        static_member_id: str | None = None,
        **overrides: Any,
    ) -> Consumer:
        """A member of a group that reads committed records, never resets by itself and never commits by itself."""
        membership: dict[str, Any] = {"group.id": group_id, "group.protocol": protocol}
        if protocol == "classic":
            membership |= {
                "session.timeout.ms": session_timeout_ms,
                "heartbeat.interval.ms": max(500, session_timeout_ms // 5),
                "partition.assignment.strategy": "cooperative-sticky",
            }
        if static_member_id is not None:
            membership["group.instance.id"] = static_member_id
        return Consumer(self._consuming(overrides) | membership)

    def reader(self, **overrides: Any) -> Consumer:
        """For ``assign()`` only: reads committed records, belongs to no group, tells the end of a partition."""
        own = {"group.id": READER_GROUP, "enable.partition.eof": True}
        return Consumer(self._consuming({**own, **overrides}))

    def admin(self) -> AdminClient:
        """An admin client."""
        return AdminClient(dict(self._shared))

    def check(self, region: str) -> None:
        """One bounded call that shows the cluster answers.

        Raises:
            ConfigError: it does not, within :data:`CONNECT_BOUND_S`.
        """
        try:
            self.admin().list_topics(timeout=CONNECT_BOUND_S)
        except KafkaException as error:
            raise ConfigError(
                f"no Kafka broker of region {region} answers at {self.settings.bootstrap_servers} "
                f"within {CONNECT_BOUND_S:.0f} s",
                hint=f"check regions.{region}.kafka.bootstrap_servers and auth in feed.yaml, and that the cluster runs",
            ) from error

    def _producing(self, overrides: dict[str, Any]) -> dict[str, Any]:
        return {
            **self._shared,
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "compression.type": "zstd",
            "linger.ms": 5,
            "message.max.bytes": MAX_RECORD_BYTES,
            # bounded: produce() refuses beyond it and the caller waits
            "queue.buffering.max.messages": 100_000,
            "queue.buffering.max.kbytes": 128 * 1024,
            **overrides,
        }

    def _consuming(self, overrides: dict[str, Any]) -> dict[str, Any]:
        return {
            **self._shared,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "fetch.wait.max.ms": FETCH_WAIT_MAX_MS,
            # bounded: what is fetched ahead, for all partitions of a client together. The queue counts keys and values
            # only, and a response is packed: a megabyte of small changes with headers becomes 30 MB of messages
            "queued.min.messages": 10_000,
            "queued.max.messages.kbytes": 16 * 1024,
            "fetch.message.max.bytes": 64 * 1024,
            "fetch.max.bytes": 512 * 1024,
            # a producer's bound, which librdkafka wants below the one above; larger records are fetched all the same
            "message.max.bytes": 512 * 1024,
            # how long a full queue is left alone: with the default of a second, so short a queue runs dry
            "fetch.queue.backoff.ms": 10,
            **overrides,
        }
