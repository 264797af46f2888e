"""Messages to an SQS FIFO queue."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from connectors.messaging.messages import Message, fifo_id, send_error_of
from schemas.errors import ConfigError


class SqsMessenger:
    """Sends to one FIFO queue; see :class:`connectors.messaging.Messenger`."""

    def __init__(self, client: Any, queue_url: str) -> None:
        if not queue_url.endswith(".fifo"):
            raise ConfigError(
                f"{queue_url} is no FIFO queue: it would lose the order of an order's changes",
                hint="use a queue whose name ends in .fifo",
            )
        self._client = client
        self._queue_url = queue_url

    def send(self, message: Message) -> str:
        """Send the text; SQS drops a repeat of the same dedupe id within five minutes."""
        facts = {"recipient": message.recipient, "subject": message.subject, **message.attributes}
        try:
            answer = self._client.send_message(
                QueueUrl=self._queue_url,
                MessageBody=message.text,
                MessageGroupId=fifo_id(message.group_id),
                MessageDeduplicationId=fifo_id(message.dedupe_id),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in facts.items() if value
                },
            )
        except (ClientError, BotoCoreError) as error:
            raise send_error_of(error, "sending to SQS") from error
        return str(answer["MessageId"])
