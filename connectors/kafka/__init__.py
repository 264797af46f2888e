"""Kafka and MSK: the one factory of clients, and the topics of a feed.

Promises: no client is built elsewhere; producers are idempotent with acks from all; consumers read committed records
only, never reset an offset and never commit by themselves; keys go to the partition that a Java client would choose.
"""

from connectors.kafka.clients import (
    CONNECT_BOUND_S,
    MAX_RECORD_BYTES,
    READER_GROUP,
    SESSION_TIMEOUT_MS,
    TRANSACTION_TIMEOUT_MS,
    GroupProtocol,
    KafkaClients,
    error_of,
)
from connectors.kafka.offsets import group_offsets
from connectors.kafka.rights import Grant, acl_commands, iam_statements
from connectors.kafka.settings import Auth, IamAuth, KafkaSettings, NoAuth, ScramAuth, TlsAuth
from connectors.kafka.tail import first_record, last_record, watermarks
from connectors.kafka.topics import (
    ADMIN_BOUND_S,
    TopicChange,
    TopicPlan,
    TopicSpec,
    apply_plan,
    describe_topics,
    plan_topics,
    topic_id_text,
)

__all__ = [
    "ADMIN_BOUND_S",
    "CONNECT_BOUND_S",
    "MAX_RECORD_BYTES",
    "READER_GROUP",
    "SESSION_TIMEOUT_MS",
    "TRANSACTION_TIMEOUT_MS",
    "Auth",
    "Grant",
    "GroupProtocol",
    "IamAuth",
    "KafkaClients",
    "KafkaSettings",
    "NoAuth",
    "ScramAuth",
    "TlsAuth",
    "TopicChange",
    "TopicPlan",
    "TopicSpec",
    "acl_commands",
    "apply_plan",
    "describe_topics",
    "error_of",
    "first_record",
    "group_offsets",
    "iam_statements",
    "last_record",
    "plan_topics",
    "topic_id_text",
    "watermarks",
]
