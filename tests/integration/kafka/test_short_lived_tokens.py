"""IAM's short-lived tokens, on a real broker that ends every session whose token has run out."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewTopic

from connectors.kafka import IamAuth, KafkaClients, KafkaSettings
from feed.local import Broker, Site
from feed.local.jars import kafka_jars
from feed.local.tools import require_java

pytestmark = pytest.mark.integration

TOKEN_LIFE_S = 4
LOAD_S = 3.5 * TOKEN_LIFE_S
TOPIC = "tokens"
BROKER = {
    "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT,MIRROR_SASL:SASL_PLAINTEXT",
    "listener.name.mirror_sasl.sasl.enabled.mechanisms": "OAUTHBEARER",
    "listener.name.mirror_sasl.oauthbearer.sasl.jaas.config": (
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
        'unsecuredLoginStringClaim_sub="broker";'
    ),
    # a session lives as long as its token and not a second more
    "listener.name.mirror_sasl.oauthbearer.connections.max.reauth.ms": str(TOKEN_LIFE_S * 1000),
}


def unsecured_token(expires_s: float) -> str:
    """A token of the kind that Kafka's own development validator takes (RFC 7515, alg none)."""

    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part({'sub': 'feed', 'iat': time.time(), 'exp': expires_s})}."


@pytest.fixture
def broker(local_site: Site) -> Iterator[Broker]:
    settings = local_site.settings
    java, jars = require_java(install=settings.install_missing), kafka_jars(settings)
    broker = Broker("oauth", local_site, java=java, jars=jars, listeners=["MIRROR_SASL"], properties=BROKER)
    try:
        broker.start()
        broker.wait_ready()
        yield broker
    finally:
        broker.stop()


def test_tokens_are_renewed_in_the_background_under_load(broker: Broker) -> None:
    """Three lives of a token pass while records are written and read, and not one is lost or refused."""
    issued: list[float] = []

    def token_source() -> tuple[str, float]:
        expires_s = time.time() + TOKEN_LIFE_S
        issued.append(expires_s)
        return unsecured_token(expires_s), expires_s

    settings = KafkaSettings(
        bootstrap_servers=broker.addresses["mirror_sasl"],
        auth=IamAuth(aws_region="eu-west-1"),
        # MSK's listener has TLS as well; the tokens are what is tested here
        client_overrides={"security.protocol": "SASL_PLAINTEXT"},
    )
    clients = KafkaClients(settings, client_id="test", token_source=token_source)
    admin = clients.admin()  # a client that nobody holds ends, and its answers with it
    admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(20)
    producer = clients.transactional_producer("tokens-slot-0")
    producer.init_transactions(20)
    reader = clients.reader()
    reader.assign([TopicPartition(TOPIC, 0, 0)])
    written, read = 0, []
    until = time.monotonic() + LOAD_S
    while time.monotonic() < until:
        producer.begin_transaction()
        for _ in range(10):
            producer.produce(TOPIC, b"%d" % written)
            written += 1
        producer.commit_transaction(20)
        read += [m.value() for m in reader.consume(500, 0.05) if m.error() is None]
    until = time.monotonic() + 10
    while len(read) < written and time.monotonic() < until:
        read += [m.value() for m in reader.consume(500, 0.1) if m.error() is None]
    reader.close()
    assert read == [b"%d" % n for n in range(written)]
    assert issued[-1] - issued[0] > 2 * TOKEN_LIFE_S, "tokens were renewed while the clients worked"
