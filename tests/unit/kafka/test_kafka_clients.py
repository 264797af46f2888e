"""The factory of Kafka clients and the plan of topics."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import KafkaError
from pydantic import ValidationError

from connectors.kafka import IamAuth, KafkaClients, KafkaSettings, ScramAuth, TlsAuth, TopicSpec, error_of, plan_topics
from connectors.kafka.auth import security
from connectors.kafka.topics import TopicState
from schemas.errors import ConfigError, FatalError

SPEC = TopicSpec("orders", 8, 3, {"retention.ms": "1000"})


def state(partitions: int = 8, replication_factor: int = 3, retention: str = "1000") -> TopicState:
    return TopicState("orders", partitions, replication_factor, {"retention.ms": retention, "x": "y"}, "id")


def test_a_topic_that_is_right_needs_nothing() -> None:
    """Equal state gives an empty plan; settings that are not ours are left alone."""
    plan = plan_topics([SPEC], {"orders": state()})
    assert plan.changes == ()
    assert plan.refused == ()


def test_a_missing_topic_is_created_and_a_wrong_setting_set() -> None:
    """Creation and correction are told apart."""
    assert [c.kind for c in plan_topics([SPEC], {}).changes] == ["create"]
    assert [c.kind for c in plan_topics([SPEC], {"orders": state(retention="5")}).changes] == ["set"]


def test_a_partition_count_changes_only_when_told_to_and_never_shrinks() -> None:
    """Growth needs the flag, shrinking is refused with it too."""
    assert "--allow-repartition" in plan_topics([SPEC], {"orders": state(partitions=4)}).refused[0]
    grown = plan_topics([SPEC], {"orders": state(partitions=4)}, allow_repartition=True)
    assert [c.kind for c in grown.changes] == ["repartition"]
    assert "cannot remove" in plan_topics([SPEC], {"orders": state(partitions=9)}, allow_repartition=True).refused[0]
    assert "replication factor" in plan_topics([SPEC], {"orders": state(replication_factor=1)}).refused[0]


def test_each_way_in_sets_what_librdkafka_needs() -> None:
    """TLS, SCRAM and IAM give the security settings of the cluster's listener, passwords included."""
    tls = security(KafkaSettings(bootstrap_servers="b", auth=TlsAuth(ca_file="ca.pem")))
    assert tls == {"security.protocol": "SSL", "ssl.ca.location": "ca.pem"}
    scram = security(KafkaSettings(bootstrap_servers="b", auth=ScramAuth(username="u", password="p")))
    assert scram["sasl.mechanism"] == "SCRAM-SHA-512"
    assert scram["sasl.password"] == "p"
    source = lambda: ("token", time.time() + 900)  # noqa: E731 (a token source in a line)
    iam = security(KafkaSettings(bootstrap_servers="b", auth=IamAuth(aws_region="eu-west-1")), source)
    assert iam["security.protocol"] == "SASL_SSL"
    assert iam["oauth_cb"]("")[0] == "token"


def test_a_promise_cannot_be_overridden() -> None:
    """The keys that carry a promise are refused in client_overrides."""
    with pytest.raises(ValidationError, match="may not be overridden"):
        KafkaSettings(bootstrap_servers="b", client_overrides={"isolation.level": "read_uncommitted"})


def test_a_cluster_that_does_not_answer_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker at the address ends in a ConfigError that names the region and the address."""
    monkeypatch.setattr("connectors.kafka.clients.CONNECT_BOUND_S", 0.3)
    with pytest.raises(ConfigError, match=r"no Kafka broker of region eu answers at 127\.0\.0\.1:9"):
        KafkaClients(KafkaSettings(bootstrap_servers="127.0.0.1:9"), client_id="t").check("eu")


def test_a_refusal_says_where_the_rights_are_told() -> None:
    """A role without a right is told so, also where librdkafka calls the error fatal for its client."""
    refused = KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "no", True, False)  # fatal
    found = error_of(refused, "taking slot 0")
    assert isinstance(found, FatalError)
    assert "feed rights" in found.hint
