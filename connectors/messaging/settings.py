"""Settings of the messengers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from schemas.settings import Settings


class SesSettings(Settings):
    """E-mail through SES v2."""

    kind: Literal["ses"]
    """Which messenger it is."""
    sender: str
    """Address the messages come from; SES must have verified it or its domain."""
    configuration_set: str | None = None
    """SES configuration set for events and suppression."""


class SnsSettings(Settings):
    """An SNS topic; with a FIFO topic, in order for each order and without repeats within five minutes."""

    kind: Literal["sns"]
    """Which messenger it is."""
    topic_arn: str
    """ARN of the topic; one that ends in ``.fifo`` is used as FIFO."""


class SqsSettings(Settings):
    """An SQS FIFO queue: in order for each order, without repeats within five minutes."""

    kind: Literal["sqs"]
    """Which messenger it is."""
    queue_url: str
    """URL of the queue; it must end in ``.fifo``."""


class WebhookSettings(Settings):
    """A POST of JSON to an URL, signed."""

    kind: Literal["webhook"]
    """Which messenger it is."""
    url: str
    """Where to post."""
    secret: SecretStr
    """Key of the HMAC-SHA256 in the header ``Feed-Signature``."""
    timeout_ms: Annotated[int, Field(ge=1)] = 10_000
    """How long an answer may take."""


AnyMessenger = Annotated[SesSettings | SnsSettings | SqsSettings | WebhookSettings, Field(discriminator="kind")]
