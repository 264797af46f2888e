"""A message, and what sends it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

from connectors.aws import aws_error_code, aws_error_of
from schemas.errors import FeedError, PoisonError, RetryableError

_FIFO_ID = re.compile(r"[!-~]{1,128}")
_NOT_SENT = (ConnectTimeoutError, EndpointConnectionError, NoCredentialsError)
_REFUSED_CODES = frozenset(
    {
        "BadRequestException",
        "InvalidMessageContents",
        "InvalidParameter",
        "InvalidParameterException",
        "InvalidParameterValue",
        "MessageRejected",
        "MessageTooLong",
    }
)


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell somebody."""

    recipient: str
    """An e-mail address for SES; the others have one destination and pass it on as an attribute."""
    subject: str
    text: str
    html: str | None
    dedupe_id: str
    """The same for the same message however often it is sent; where a provider can drop repeats by it, it does."""
    group_id: str
    """Messages of one group keep their order where the provider can."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Facts for machines: event id, order, template."""


class MaybeSentError(RetryableError):
    """There was no answer, or a server's error: the message may have gone out all the same."""


class Messenger(Protocol):
    """Sends messages. Safe to call from several threads."""

    def send(self, message: Message) -> str:
        """Send it, once.

        Returns:
            The provider's id of the message.

        Raises:
            MaybeSentError: it may have gone out.
            RetryableError: it has not gone out; it may later.
            PoisonError: it never will: the provider refuses this message.
            FatalError: the provider refuses us.
        """
        ...


def fifo_id(text: str) -> str:
    """A group or dedupe id as FIFO queues and topics take it: the text itself where it fits, else its SHA-256.

    Source: SQS, "SendMessage" (up to 128 characters: letters, digits and ASCII punctuation).
    """
    return text if _FIFO_ID.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()


def send_error_of(error: ClientError | BotoCoreError, doing: str) -> FeedError:
    """An AWS error while sending as one of ours."""
    if isinstance(error, ParamValidationError) or aws_error_code(error) in _REFUSED_CODES:
        return PoisonError(
            f"the provider refused the message while {doing}: {error}", hint="look at recipient and template"
        )
    judged = aws_error_of(error, doing)
    answered: dict[str, Any] = dict(error.response) if isinstance(error, ClientError) else {}
    server_fault = answered.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    no_answer = isinstance(error, BotoCoreError) and not isinstance(error, _NOT_SENT)
    if isinstance(judged, RetryableError) and (server_fault or no_answer):
        return MaybeSentError(str(judged), hint="it is unknown whether it went out; the template's policy decides")
    return judged
