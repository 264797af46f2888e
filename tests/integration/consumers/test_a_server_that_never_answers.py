"""Stores whose server accepts connections and never answers, on a real cluster and with the real clients."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry

from connectors.aws import AwsClients, AwsSettings
from connectors.dynamodb import EffectTable
from connectors.s3 import ObjectStore
from consumers.archive import ArchiveSettings, ArchiveSink
from consumers.audit import AuditSettings, AuditSink
from consumers.runtime import BatchSink, RecordSink
from consumers.runtime.build import wall_clock_ms
from consumers.warehouse import WarehouseSettings, WarehouseSink
from feed.testing import until
from tests.integration.consumers.test_runtime_on_kafka import KafkaRig
from tests.unit.consumers.consumer_contract import Recorder, Running, value_of

pytestmark = pytest.mark.integration

BUDGET_MS = 500

LEAVES_WITHIN_S = 10.0
"""The budget, and what a busy machine takes to commit and to leave; the stores' clients would take over 80 s."""


class SilentServer:
    """Accepts every connection, reads nothing, says nothing."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked = threading.Event()
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                self._held.append(self._socket.accept()[0])
                self.asked.set()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)
        for held in self._held:
            held.close()


@pytest.fixture
def silent() -> Iterator[SilentServer]:
    server = SilentServer()
    yield server
    server.close()


def sink_on(server: SilentServer, name: str) -> RecordSink | BatchSink:
    endpoints = dict.fromkeys(("s3", "dynamodb"), server.endpoint)
    aws = AwsClients(
        AwsSettings(region="eu-west-1", endpoints=endpoints, access_key_id="test", secret_access_key="test")
    )
    registry = CollectorRegistry()
    if name == "warehouse":  # in `handle`
        table = EffectTable(aws.client("dynamodb"), "picks", calls=aws.dynamodb_calls())
        return WarehouseSink(table, WarehouseSettings(number_attribute=None), registry=registry, now_ms=wall_clock_ms)
    store = ObjectStore(aws.client("s3"), "silent")
    if name == "audit":  # in `open`
        return AuditSink(store, AuditSettings(bucket="silent"), registry=registry, now_ms=wall_clock_ms)
    return ArchiveSink(store, ArchiveSettings(bucket="silent"), registry=registry, now_ms=wall_clock_ms)  # in `add`


@pytest.mark.parametrize("name", ["audit", "archive", "warehouse"])
def test_a_server_that_never_answers(
    kafka_broker, unique_name: Callable[[str], str], silent: SilentServer, name: str
) -> None:
    """Its member stays a member, hands partitions over and stops, each within the budget; the next one does it all."""
    rig = KafkaRig(kafka_broker.bootstrap, unique_name("orders"))
    for n in range(10):
        rig.put("a", value_of("a", n), partition=n % 2)
    with Running(rig, sink_on(silent, name), revoke_budget_ms=BUDGET_MS) as hanging:
        assert silent.asked.wait(30)
        other = Recorder()
        with Running(rig, other) as second:
            until(lambda: len(other.seen) == 5, "the share of the second member")
            assert hanging.metric("feed_consumer_rebalances_total", sink=name, kind="lost") == 0
            assert "stop" not in second.health()
            began = time.monotonic()
            hanging.stop()
            assert time.monotonic() - began < LEAVES_WITHIN_S
            assert hanging.error is None
            until(lambda: rig.committed(0) == 5 and rig.committed(1) == 5, "the second member's commits")
    assert sorted(number for _, number in other.seen) == list(range(10))
