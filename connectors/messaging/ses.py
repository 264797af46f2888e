"""E-mail through SES v2."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from connectors.messaging.messages import Message, send_error_of


class SesMessenger:
    """Sends e-mail; see :class:`connectors.messaging.Messenger`."""

    def __init__(self, client: Any, sender: str, *, configuration_set: str | None = None) -> None:
        self._client = client
        self._sender = sender
        self._options = {"ConfigurationSetName": configuration_set} if configuration_set else {}

    def send(self, message: Message) -> str:
        """Send an e-mail; SES has no way to drop repeats."""
        body: dict[str, Any] = {"Text": {"Data": message.text, "Charset": "UTF-8"}}
        if message.html is not None:
            body["Html"] = {"Data": message.html, "Charset": "UTF-8"}
        try:
            answer = self._client.send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [message.recipient]},
                Content={"Simple": {"Subject": {"Data": message.subject, "Charset": "UTF-8"}, "Body": body}},
                **self._options,
            )
        except (ClientError, BotoCoreError) as error:
            raise send_error_of(error, "sending an e-mail through SES") from error
        return str(answer["MessageId"])
