"""From an :class:`~connectors.kafka.settings.Auth` to librdkafka's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.kafka.settings import IamAuth, KafkaSettings, NoAuth, ScramAuth, TlsAuth

TokenSource = Callable[[], tuple[str, float]]
"""Gives a SASL/OAUTHBEARER token and when it expires, in seconds since the epoch."""


def iam_token_source(auth: IamAuth) -> TokenSource:
    """Tokens for MSK, signed with the process's credentials; they live 15 minutes.

    Source: aws-msk-iam-sasl-signer-python, "generate_auth_token" (expiry comes in milliseconds).
    """
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # noqa: PLC0415 (only clusters with IAM pay for its import)

    def token() -> tuple[str, float]:
        if auth.role_arn:
            text, expires_ms = MSKAuthTokenProvider.generate_auth_token_from_role_arn(auth.aws_region, auth.role_arn)
        else:
            text, expires_ms = MSKAuthTokenProvider.generate_auth_token(auth.aws_region)
        return text, expires_ms / 1000

    return token


def security(settings: KafkaSettings, token_source: TokenSource | None = None) -> dict[str, Any]:
    """The security part of a client's configuration.

    librdkafka asks for a new token in its background thread at 80 % of the old one's life, so no poll loop has to run
    for it (confluent-kafka ≥ 2.13), and re-authenticates open connections in place (KIP-368).

    Args:
        settings: the cluster.
        token_source: replaces the source of IAM tokens (tests).
    """
    auth = settings.auth
    match auth:
        case NoAuth():
            return {}
        case TlsAuth():
            return {"security.protocol": "SSL"} | _present(
                {
                    "ssl.ca.location": auth.ca_file,
                    "ssl.certificate.location": auth.certificate_file,
                    "ssl.key.location": auth.key_file,
                    "ssl.key.password": auth.key_password.get_secret_value() if auth.key_password else None,
                }
            )
        case ScramAuth():
            return {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": auth.mechanism,
                "sasl.username": auth.username,
                "sasl.password": auth.password.get_secret_value(),
            } | _present({"ssl.ca.location": auth.ca_file})
        case IamAuth():
            source = token_source or iam_token_source(auth)
            return {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "OAUTHBEARER",
                "oauth_cb": lambda _config: source(),
            } | _present({"ssl.ca.location": auth.ca_file})


def _present(values: dict[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value is not None}
