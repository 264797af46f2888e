"""Messages to an SNS topic."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from connectors.messaging.messages import Message, fifo_id, send_error_of

MAX_SUBJECT_CHARS = 100
"""SNS's limit for a subject."""


class SnsMessenger:
    """Publishes to one topic; see :class:`connectors.messaging.Messenger`."""

    def __init__(self, client: Any, topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn
        self._fifo = topic_arn.endswith(".fifo")

    def send(self, message: Message) -> str:
        """Publish the text; recipient and facts travel as attributes."""
        facts = {"recipient": message.recipient, **message.attributes}
        order = {
            "MessageGroupId": fifo_id(message.group_id),
            "MessageDeduplicationId": fifo_id(message.dedupe_id),
        }
        try:
            answer = self._client.publish(
                TopicArn=self._topic_arn,
                Subject=message.subject[:MAX_SUBJECT_CHARS],
                Message=message.text,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in facts.items() if value
                },
                **(order if self._fifo else {}),
            )
        except (ClientError, BotoCoreError) as error:
            raise send_error_of(error, "publishing to SNS") from error
        return str(answer["MessageId"])
