"""Where a Kafka cluster is and how to be let in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from schemas.settings import Settings

GUARDED_CLIENT_KEYS = frozenset(
    {
        "acks",
        "auto.offset.reset",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "group.id",
        "isolation.level",
        "oauth_cb",
        "partitioner",
        "transactional.id",
    }
)
"""librdkafka settings that carry a promise of the feed; ``client_overrides`` may not name them."""


class NoAuth(Settings):
    """Plain connections: local clusters only."""

    kind: Literal["none"] = "none"
    """How the client proves who it is."""


class TlsAuth(Settings):
    """TLS, with a client certificate where the cluster asks for one (MSK: port 9094)."""

    kind: Literal["tls"] = "tls"
    """How the client proves who it is."""
    ca_file: str | None = None
    """PEM file of the authorities to trust; the system's own when absent."""
    certificate_file: str | None = None
    """PEM file of the client's certificate, for mutual TLS."""
    key_file: str | None = None
    """PEM file of the client's private key, for mutual TLS."""
    key_password: SecretStr | None = None
    """Password of the private key."""


class ScramAuth(Settings):
    """A user name and password by SCRAM (MSK: port 9096, secrets in AWS Secrets Manager)."""

    kind: Literal["scram"] = "scram"
    """How the client proves who it is."""
    username: str
    """SCRAM user."""
    password: SecretStr
    """SCRAM password."""
    mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """SCRAM variant; MSK offers SCRAM-SHA-512 only."""
    ca_file: str | None = None
    """PEM file of the authorities to trust; the system's own when absent."""


class IamAuth(Settings):
    """AWS IAM (MSK: port 9098): short-lived tokens signed with the process's own AWS credentials."""

    kind: Literal["iam"] = "iam"
    """How the client proves who it is."""
    aws_region: str
    """AWS region of the cluster, part of the signature."""
    role_arn: str | None = None
    """A role to assume for Kafka; the process's own identity when absent."""
    ca_file: str | None = None
    """PEM file of the authorities to trust; the system's own when absent."""


Auth = Annotated[NoAuth | TlsAuth | ScramAuth | IamAuth, Field(discriminator="kind")]


class KafkaSettings(Settings):
    """One Kafka cluster."""

    bootstrap_servers: str
    """Comma-separated ``host:port`` of some brokers."""
    auth: Auth = NoAuth()
    """How to be let in."""
    client_overrides: dict[str, str] = Field(default_factory=dict)
    """librdkafka settings passed on as they are; those that carry a promise (acks, isolation level, …) are refused."""

    @field_validator("client_overrides")
    @classmethod
    def _keep_the_promises(cls, value: dict[str, str]) -> dict[str, str]:
        if guarded := sorted(GUARDED_CLIENT_KEYS & value.keys()):
            raise ValueError(f"{', '.join(guarded)} may not be overridden: the feed's promises rest on them")
        return value
