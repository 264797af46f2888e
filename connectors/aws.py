"""The one factory of AWS clients: bounded time-outs and retries, endpoints of local stand-ins where configured."""

from __future__ import annotations

import threading
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from pydantic import Field, SecretStr

from connectors.json_calls import JsonCalls
from connectors.put_calls import PutCalls
from schemas.errors import FatalError, FeedError, RetryableError
from schemas.settings import Settings

CONNECT_TIMEOUT_S = 5.0
"""How long a connection may take to open."""

READ_TIMEOUT_S = 20.0
"""How long an answer may take."""

MAX_ATTEMPTS = 4
"""Tries of one call, the first included, with botocore's jittered back-off; the callers' own retries come on top."""

MAX_POOL_CONNECTIONS = 64
"""Connections kept by one client: more threads than that would wait for each other."""

_RETRYABLE_CODES = frozenset(
    {
        "InternalServerError",
        "InternalError",
        "InternalFailure",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_ACCESS_CODES = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    }
)


class AwsSettings(Settings):
    """AWS in one region."""

    region: str
    """AWS region, for example ``eu-west-1``."""
    endpoints: dict[str, str] = Field(default_factory=dict)
    """Service name → URL of a stand-in (``dynamodb``, ``dynamodbstreams``, ``s3``, …); empty on AWS."""
    access_key_id: str | None = None
    """Only for stand-ins: on AWS leave it out, and the process's role or profile is used."""
    secret_access_key: SecretStr | None = None
    """Only for stand-ins, as above."""


class AwsClients:
    """Builds and caches the boto3 clients of a process for one region. Safe to call from any thread."""

    def __init__(self, settings: AwsSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, int], Any] = {}
        secret = settings.secret_access_key
        self._session = boto3.Session(
            region_name=settings.region,
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
        )

    def client(self, service: str, *, max_attempts: int = MAX_ATTEMPTS) -> Any:
        """The client of ``service``; always the same one, since boto3 clients may be shared between threads.

        Args:
            service: its name in boto3.
            max_attempts: tries of one call; 1 where a call that timed out may have had its effect (an e-mail).
        """
        with self._lock:
            if (service, max_attempts) not in self._clients:
                self._clients[service, max_attempts] = self._session.client(  # type: ignore[call-overload]  # any service by name
                    service,
                    endpoint_url=self.settings.endpoints.get(service),
                    config=Config(
                        connect_timeout=CONNECT_TIMEOUT_S,
                        read_timeout=READ_TIMEOUT_S,
                        retries={"total_max_attempts": max_attempts, "mode": "standard"},
                        max_pool_connections=MAX_POOL_CONNECTIONS,
                        tcp_keepalive=True,
                        s3={"addressing_style": "path"} if "s3" in self.settings.endpoints else None,
                    ),
                )
            return self._clients[service, max_attempts]

    def dynamodb_calls(self) -> JsonCalls:
        """DynamoDB without boto3's own cost per call, at the same address and with the same credentials."""
        meta = self.client("dynamodb").meta
        return JsonCalls(
            meta.endpoint_url,
            service="dynamodb",
            target="DynamoDB_20120810",
            version="1.0",
            region=self.settings.region,
            credentials=self._session.get_credentials(),
            connect_timeout_s=CONNECT_TIMEOUT_S,
            read_timeout_s=READ_TIMEOUT_S,
            max_connections=MAX_POOL_CONNECTIONS,
        )

    def put_calls(self) -> PutCalls | None:
        """Small PUTs into S3 without boto3's own cost per call; None where boto3 has to do it itself."""
        return PutCalls.of(self.client("s3"), self._session.get_credentials())


def aws_error_code(error: Exception) -> str:
    """The service's code of an error (``ConditionalCheckFailedException``), empty when the service gave none."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return ""


def aws_error_of(error: ClientError | BotoCoreError, doing: str) -> FeedError:
    """An AWS error as one of ours. ``doing`` completes the sentence "AWS failed while …".

    A refused access is retryable: roles and policies change under a running process, and giving up on a temporary
    refusal ended other products' readers for good.
    """
    code = aws_error_code(error)
    status = (
        error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) if isinstance(error, ClientError) else 0
    )
    text = f"AWS failed while {doing}: {error}"
    if code in _ACCESS_CODES:
        return RetryableError(
            text,
            hint="check the role's credentials and policy (`feed rights`); a running process tries again with back-off",
        )
    if isinstance(error, ParamValidationError):  # told before anything is sent: the same again is refused again
        return FatalError(text, hint="a name or a value in feed.yaml is not of the form that the service takes")
    if isinstance(error, BotoCoreError) or code in _RETRYABLE_CODES or status >= 500:
        return RetryableError(
            text,
            hint="the service is busy or away: a running process tries again with back-off, a command is given again",
        )
    return FatalError(
        text, hint="the request itself is refused: check names, limits and the table's or bucket's settings"
    )
