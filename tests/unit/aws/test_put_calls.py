"""Small PUTs without boto3's own cost: what is sent is what boto3 sends, and what is not plain is left to boto3."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

from connectors.aws import AwsClients, AwsSettings
from connectors.put_calls import SMALL_BYTES, PutCalls
from connectors.s3 import ObjectStore, PutOutcome

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

UNTIL = datetime(2033, 11, 24, 10, 0, 0, tzinfo=UTC)
METADATA = {"first": "17", "sha256": "ab" * 32}
TYPE = "application/octet-stream"
OURS = re.compile(r"(?i)(x-amz-(?!date|content-sha256)|content-type|if-none-match)")
"""Headers that say what is stored and on which condition."""


class Server(ThreadingHTTPServer):
    """Answers in turn as it is told (200 then), and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, bytes] | None] = []
        self.seen: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers.items()), body))
        answer = self.server.answers.pop(0) if self.server.answers else (200, b"")
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer[0])
        self.send_header("Content-Length", str(len(answer[1])))
        self.end_headers()
        self.wfile.write(answer[1])

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()
    thread.join(5)


def store_on(server: Server) -> ObjectStore:
    """A store as the sinks have it."""
    settings = {"region": "eu-west-1", "access_key_id": "access", "secret_access_key": "secret"}
    return ObjectStore.writing(
        AwsClients(AwsSettings.model_validate({**settings, "endpoints": {"s3": server.url}})), "bucket"
    )


@pytest.mark.parametrize(
    "region, bucket, path_style",
    [
        ("eu-west-1", "orders-archive", False),
        ("eu-west-1", "orders.archive", False),
        ("ap-southeast-2", "orders-archive", True),
        ("us-east-1", "orders-archive", False),
        ("us-east-1", "orders.archive", True),
        ("cn-north-1", "orders-archive", False),
        ("us-gov-west-1", "orders.archive", False),
    ],
)
def test_what_is_sent_is_what_boto3_sends(region: str, bucket: str, path_style: bool) -> None:
    """Address, condition, metadata, type and lock are boto3's own, in every partition of AWS, for odd names too."""
    sent: list[tuple[str, dict[str, str]]] = []

    def instead(request: Any, **_: Any) -> AWSResponse:
        sent.append((request.url, {name: _text(value) for name, value in request.headers.items()}))
        return AWSResponse(request.url, 200, {}, _Empty())  # type: ignore[arg-type]  # all that is read

    client = boto3.client(
        "s3",
        region_name=region,
        aws_access_key_id="access",
        aws_secret_access_key="secret",
        config=Config(s3={"addressing_style": "path"} if path_style else None),
    )
    client.meta.events.register("before-send.s3.PutObject", instead)  # type: ignore[arg-type]  # it may answer itself
    key, body = "archive/hour=2026-11-24-10/21 ä+~(1)&'=.parquet", b"body"
    client.put_object(
        Bucket=bucket,
        Key=key,
        Body=body,
        IfNoneMatch="*",
        Metadata=METADATA,
        ContentType=TYPE,
        ObjectLockMode="COMPLIANCE",
        ObjectLockRetainUntilDate=UNTIL,
    )
    calls = PutCalls.of(client, Credentials("access", "secret"))
    assert calls is not None

    def ours(request: Any) -> AWSResponse:
        return instead(request)

    calls._http.send = ours  # type: ignore[method-assign]  # what leaves is looked at, and not sent
    assert calls.create(bucket, key, body, METADATA, content_type=TYPE, retain_until=UNTIL) is True
    (theirs_url, theirs), (ours_url, mine) = sent
    assert ours_url == theirs_url
    compared = {name.lower(): value for name, value in mine.items() if OURS.match(name)}
    wanted = {name.lower(): value for name, value in theirs.items() if OURS.match(name)}
    for told in ("x-amz-trailer", "x-amz-decoded-content-length"):  # over TLS boto3 sends the checksum behind the body
        wanted.pop(told, None)
    checksum = compared.pop("x-amz-checksum-crc32")
    assert wanted.pop("x-amz-checksum-crc32", checksum) == checksum
    assert compared == wanted
    assert mine["X-Amz-Content-SHA256"] == "UNSIGNED-PAYLOAD"  # TLS and the checksum vouch for the body


class _Empty:
    """A body with nothing in it."""

    def stream(self) -> Iterator[bytes]:
        return iter(())


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def test_a_request_is_signed_as_botocore_signs_it(server: Server) -> None:
    """Without TLS the body's hash is signed, and the signature that arrives is botocore's for what arrived."""
    assert store_on(server).put_create_only("a/b c", b"body", METADATA) is PutOutcome.CREATED
    ((path, headers, body),) = server.seen
    assert (path, body) == ("/bucket/a/b%20c", b"body")
    assert "Expect" not in headers
    signed = headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    again = AWSRequest(
        "PUT",
        server.url + path,
        headers={name: value for name, value in headers.items() if name.lower() in signed},
        data=body,
    )
    again.context["timestamp"] = headers["X-Amz-Date"]
    auth = S3SigV4Auth(Credentials("access", "secret"), "s3", "eu-west-1")
    signature = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    assert headers["Authorization"].endswith(f"Signature={signature}")


def test_a_name_that_is_taken_is_told_by_one_request(server: Server) -> None:
    """412 needs nobody else's opinion."""
    server.answers = [(412, b"<Error><Code>PreconditionFailed</Code></Error>")]
    assert store_on(server).put_create_only("a", b"x") is PutOutcome.EXISTS
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"<Error><Code>InternalError</Code></Error>"),
        (503, b"<Error><Code>SlowDown</Code></Error>"),
        (409, b"<Error><Code>ConditionalRequestConflict</Code></Error>"),
        (200, b"<Error><Code>InternalError</Code></Error>"),
        (403, b"<Error><Code>ExpiredToken</Code></Error>"),
        None,
    ],
)
def test_whatever_else_happens_is_left_to_boto3(server: Server, answer: tuple[int, bytes] | None) -> None:
    """Errors, an error in a 200, and an answer that does not come: boto3 does the same PUT once more."""
    server.answers = [answer]
    assert store_on(server).put_create_only("a", b"x", METADATA, retain_until=UNTIL) is PutOutcome.CREATED
    first, second = server.seen
    assert (first[0], first[2]) == (second[0], second[2])
    assert {n.lower(): v for n, v in first[1].items() if OURS.match(n)} == {
        n.lower(): v for n, v in second[1].items() if OURS.match(n)
    }


def test_what_took_effect_before_its_answer_got_lost_exists(server: Server) -> None:
    """The second request finds the name taken: the caller compares, as after any lost answer."""
    server.answers = [None, (412, b"<Error><Code>PreconditionFailed</Code></Error>")]
    assert store_on(server).put_create_only("a", b"x") is PutOutcome.EXISTS


def test_a_large_body_and_odd_metadata_are_boto3s(server: Server) -> None:
    """A large body is asked for first (Expect), so that a name that is taken costs no transfer."""
    assert store_on(server).put_create_only("a", b"x" * SMALL_BYTES) is PutOutcome.CREATED
    assert server.seen[0][1]["Expect"] == "100-continue"


def test_no_credentials_and_special_ways_to_s3_are_boto3s() -> None:
    """Dual stack, FIPS and acceleration have addresses of their own, which boto3 knows."""

    def client_with(config: Config | None) -> S3Client:
        return boto3.client(
            "s3", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="s", config=config
        )

    assert PutCalls.of(client_with(None), None) is None
    ways: list[dict[str, Any]] = [
        {"use_dualstack_endpoint": True},
        {"use_fips_endpoint": True},
        {"s3": {"use_accelerate_endpoint": True}},
        {"s3": {"use_dualstack_endpoint": True}},
    ]
    for config in (Config(**way) for way in ways):
        assert PutCalls.of(client_with(config), Credentials("a", "s")) is None
