"""Calls without boto3's own cost: what is sent, and what comes back when something is wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from connectors.json_calls import JsonCalls

CREDENTIALS = Credentials("access", "secret", "token")


class Service(ThreadingHTTPServer):
    """Answers as it is told and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: tuple[int, bytes] = (200, b"{}")
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.drops = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Service
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((dict(self.headers.items()), body))
        if self.server.drops:
            self.close_connection = True
            return
        status, answer = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def calls_to(url: str, credentials: Credentials | None = CREDENTIALS) -> JsonCalls:
    return JsonCalls(
        url,
        service="dynamodb",
        target="DynamoDB_20120810",
        version="1.0",
        region="eu-west-1",
        credentials=credentials,
        connect_timeout_s=2,
        read_timeout_s=2,
        max_connections=2,
    )


def test_a_request_is_signed_as_botocore_signs_it(service: Service) -> None:
    """The signature that arrives is what botocore computes for the bytes and headers that arrived."""
    calls_to(service.url).call("UpdateItem", {"TableName": "picks"})
    (headers, body) = service.seen[0]
    assert json.loads(body) == {"TableName": "picks"}
    assert headers["X-Amz-Target"] == "DynamoDB_20120810.UpdateItem"
    again = AWSRequest(
        "POST",
        service.url + "/",
        data=body,
        headers={"Content-Type": headers["Content-Type"], "X-Amz-Target": headers["X-Amz-Target"]},
    )
    again.context["timestamp"] = headers["X-Amz-Date"]
    again.headers["X-Amz-Date"] = headers["X-Amz-Date"]
    again.headers["X-Amz-Security-Token"] = "token"
    auth = SigV4Auth(CREDENTIALS, "dynamodb", "eu-west-1")
    signature = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    assert headers["Authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize(
    "status, said, code",
    [
        (
            400,
            {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "Item": {"a": {"S": "b"}}},
            "ConditionalCheckFailedException",
        ),
        (400, {"__type": "com.amazon.coral.validate#ValidationException", "message": "no"}, "ValidationException"),
        (500, {}, "500"),
    ],
)
def test_an_error_has_botocores_shape(service: Service, status: int, said: dict[str, Any], code: str) -> None:
    """Code, message, status and what else the service said stand where botocore puts them."""
    service.answer = (status, json.dumps(said).encode())
    with pytest.raises(ClientError) as caught:
        calls_to(service.url).call("UpdateItem", {})
    response: dict[str, Any] = caught.value.response  # type: ignore[assignment]
    assert response["Error"]["Code"] == code
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert response.get("Item") == said.get("Item")


def test_a_request_without_an_answer_is_sent_once_and_is_an_error(service: Service) -> None:
    """A connection that ends before the answer is reported, and nothing is sent a second time."""
    service.drops = True
    with pytest.raises(BotoCoreError):
        calls_to(service.url).call("UpdateItem", {})
    assert len(service.seen) == 1


def test_nobody_there_and_no_credentials_are_errors_of_botocore() -> None:
    """What is above treats them like any call of boto3 that failed."""
    with pytest.raises(BotoCoreError):
        calls_to("http://127.0.0.1:9").call("UpdateItem", {})
    with pytest.raises(NoCredentialsError):
        calls_to("http://127.0.0.1:9", credentials=None).call("UpdateItem", {})
