"""The local Data API over HTTP, with boto3's own client."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import boto3
import pytest

from connectors.redshift import Redshift, RedshiftSettings
from feed.local.data_api import Engine
from feed.local.data_api.http import serve
from tests.unit.data_api.bucket import FakeS3


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_764_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The engine's clock."""
    return Clock()


@pytest.fixture
def s3() -> FakeS3:
    """An empty bucket."""
    return FakeS3()


@pytest.fixture
def engine(s3: FakeS3, clock: Clock) -> Iterator[Engine]:
    """An engine in memory."""
    engine = Engine(":memory:", s3, now=clock)  # type: ignore[arg-type]  # the one call that is made
    yield engine
    engine.close()


@pytest.fixture
def redshift(engine: Engine) -> Iterator[Redshift]:
    """boto3's own client against the server."""
    server = serve(engine, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    client = boto3.client(
        "redshift-data",
        endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
        region_name="ap-southeast-2",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    yield Redshift(
        client, RedshiftSettings(workgroup="local", copy_role="arn:aws:iam::1:role/copy", poll_interval_ms=10)
    )
    client.close()
    server.shutdown()
    thread.join()
    server.server_close()
