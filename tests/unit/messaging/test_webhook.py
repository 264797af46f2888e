"""A webhook: what is posted, and what an answer means for the message."""

from __future__ import annotations

import json

import httpx
import pytest
from pydantic import SecretStr

from connectors.messaging import MaybeSentError, Message, WebhookMessenger, signature
from schemas.errors import PoisonError, RetryableError

MESSAGE = Message("c-1@customers.example", "Größe", "text", None, "e-1_paid", "o-1", {"status": "paid"})
SECRET = SecretStr("s3cret")


def messenger(answer: httpx.Response | Exception, seen: list[httpx.Request]) -> WebhookMessenger:
    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = httpx.Client(transport=httpx.MockTransport(handler))
    return WebhookMessenger(client, "https://shop.example/hook", SECRET, now_s=lambda: 1_764_000_000)


def test_posts_signed_json() -> None:
    """The body is JSON, signed with its time, and carries a key by which the receiver drops repeats."""
    seen: list[httpx.Request] = []
    assert messenger(httpx.Response(202, headers={"x-request-id": "r-1"}), seen).send(MESSAGE) == "r-1"
    (request,) = seen
    assert json.loads(request.content)["subject"] == "Größe"
    assert request.headers["idempotency-key"] == "e-1_paid"
    assert request.headers["feed-signature"] == signature(SECRET, 1_764_000_000, request.content)


@pytest.mark.parametrize(
    "answer, expected",
    [
        (httpx.Response(422), PoisonError),
        (httpx.Response(429), RetryableError),
        (httpx.Response(401), RetryableError),
        (httpx.Response(302, headers={"location": "https://elsewhere.example"}), MaybeSentError),
        (httpx.Response(500), MaybeSentError),
        (httpx.ConnectError("refused"), RetryableError),
        (httpx.ReadTimeout("slow"), MaybeSentError),
    ],
)
def test_what_an_answer_means(answer: httpx.Response | Exception, expected: type[Exception]) -> None:
    """Refused for good, not taken, or unknown: only the last one may have been sent."""
    with pytest.raises(expected) as error:
        messenger(answer, []).send(MESSAGE)
    assert type(error.value) is expected
