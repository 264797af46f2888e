"""A POST of JSON, signed so that the receiver knows who calls and that nothing was changed or played again."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable

import httpx
from pydantic import SecretStr

from connectors.messaging.messages import MaybeSentError, Message
from schemas.errors import PoisonError, RetryableError

REFUSED = frozenset({400, 413, 415, 422})
"""Answers that mean this message can never be taken. Any other refusal may be mended at the other end."""

NOT_TAKEN = frozenset({401, 403, 404, 408, 409, 410, 425, 429})
"""Answers that mean it was not taken for now."""


def signature(secret: SecretStr, at_s: int, body: bytes) -> str:
    """``t=<seconds>,v1=<hex HMAC-SHA256 of "<seconds>.<body>">``."""
    signed = f"{at_s}.".encode() + body
    digest = hmac.new(secret.get_secret_value().encode(), signed, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


class WebhookMessenger:
    """Posts to one URL; see :class:`connectors.messaging.Messenger`."""

    def __init__(self, client: httpx.Client, url: str, secret: SecretStr, *, now_s: Callable[[], int]) -> None:
        self._client = client
        self._url = url
        self._secret = secret
        self._now_s = now_s

    def send(self, message: Message) -> str:
        """Post the message; the receiver drops repeats by the header ``Idempotency-Key``."""
        content = {
            "recipient": message.recipient,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "group": message.group_id,
            "attributes": dict(message.attributes),
        }
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Idempotency-Key": message.dedupe_id,
            "Feed-Signature": signature(self._secret, self._now_s(), body),
        }
        try:
            answer = self._client.post(self._url, content=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise RetryableError(f"{self._url} cannot be reached: {error!r}", hint="is the receiver up?") from error
        except httpx.HTTPError as error:
            raise MaybeSentError(f"no answer of {self._url}: {error!r}", hint="is the receiver up?") from error
        if answer.is_success:
            return str(answer.headers.get("x-request-id", message.dedupe_id))
        said = f"{self._url} answered {answer.status_code}"
        if answer.status_code in REFUSED:
            raise PoisonError(
                f"{said}: it never takes this message", hint="look at the template and the receiver's log"
            )
        if answer.status_code in NOT_TAKEN:
            raise RetryableError(f"{said}: not taken for now", hint="check the receiver's URL, secret and limits")
        raise MaybeSentError(f"{said}: it may have been taken", hint="look at the receiver's log")
