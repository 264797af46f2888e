"""From settings to a messenger."""

from __future__ import annotations

import time

import httpx

from connectors.aws import AwsClients
from connectors.messaging.messages import Messenger
from connectors.messaging.ses import SesMessenger
from connectors.messaging.settings import SesSettings, SnsSettings, SqsSettings, WebhookSettings
from connectors.messaging.sns import SnsMessenger
from connectors.messaging.sqs import SqsMessenger
from connectors.messaging.webhook import WebhookMessenger

ONCE = 1
"""Tries of a call: botocore's own retry after a time-out would send a second message without anyone knowing."""


def open_messenger(settings: SesSettings | SnsSettings | SqsSettings | WebhookSettings, aws: AwsClients) -> Messenger:
    """The messenger that settings describe."""
    match settings:
        case SesSettings():
            client = aws.client("sesv2", max_attempts=ONCE)
            return SesMessenger(client, settings.sender, configuration_set=settings.configuration_set)
        case SnsSettings():
            return SnsMessenger(aws.client("sns", max_attempts=ONCE), settings.topic_arn)
        case SqsSettings():
            return SqsMessenger(aws.client("sqs", max_attempts=ONCE), settings.queue_url)
        case WebhookSettings():
            return WebhookMessenger(
                httpx.Client(timeout=settings.timeout_ms / 1000, follow_redirects=False),
                settings.url,
                settings.secret,
                now_s=lambda: int(time.time()),
            )
