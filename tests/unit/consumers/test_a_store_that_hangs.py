"""A batch sink whose store does not answer while its partitions are taken away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from connectors.telemetry import Telemetry
from consumers.analytics import AnalyticsSettings, AnalyticsSink
from consumers.archive import ArchiveSettings, ArchiveSink, read_archive
from consumers.audit import AuditSettings, AuditSink, read_chain
from consumers.runtime import BatchSink, MemoryBroker, Partition, RuntimeSettings, consumer
from consumers.uploads import Upload, UploadThreads, Within
from feed.testing import until
from schemas.bundled import load
from schemas.codec import ChangeCodec
from schemas.errors import RetryableError
from schemas.headers import headers_of
from tests.unit.consumers.consumer_contract import FAST
from tests.unit.memory_store import MemoryStore
from tests.unit.memory_warehouse import MemoryWarehouse
from tests.unit.order_changes import life

BUDGET_MS = 400
GROUP = "orders.held"
CODEC = ChangeCodec.for_image(load("order"))
HOUR_MS = 3_600_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Held:
    """A bucket whose PUTs hang while they are told to, and a sink that writes to it only when it is flushed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.store = MemoryStore()
        self.store.before = self._put
        self.answers = threading.Event()
        self.asked = threading.Event()
        self.warehouse = MemoryWarehouse(self.store) if name == "analytics" else None

    def _put(self, key: str) -> None:
        self.asked.set()
        assert self.answers.wait(30)

    def sink(self) -> BatchSink:
        registry = CollectorRegistry()
        if self.name == "audit":
            audit = AuditSettings(bucket="memory", segment_ms=HOUR_MS)
            return AuditSink(self.store, audit, registry=registry, now_ms=now_ms)
        if self.warehouse is None:
            archive = ArchiveSettings(bucket="memory", open_ms=HOUR_MS)
            return ArchiveSink(self.store, archive, registry=registry, now_ms=now_ms)
        redshift, _ = self.warehouse.connect()
        return AnalyticsSink(
            self.store,
            redshift,
            image=load("order"),
            decode=CODEC.decode,
            settings=AnalyticsSettings(bucket="memory", interval_ms=HOUR_MS),
            registry=registry,
            now_ms=now_ms,
        )

    def stored(self) -> list[int]:
        """The offsets of partition 0 that it holds, each as often as it does."""
        if self.warehouse is not None:
            return sorted(row["o"] for row in self.warehouse.rows("SELECT feed_offset AS o FROM public.orders_history"))
        read: Callable[..., Any] = read_chain if self.name == "audit" else read_archive
        partition = Partition("memory", "orders-1", "orders", 0)
        return sorted(record.offset() for record in read(self.store, self.name, partition))


class Member:
    """A consumer on a thread of its own."""

    def __init__(self, broker: MemoryBroker, sink: BatchSink, *, budget_ms: int) -> None:
        self.stop = threading.Event()
        self.telemetry = Telemetry("test")
        running = consumer(
            sink,
            topic="orders",
            group=GROUP,
            broker=broker,
            decode=CODEC.decode,
            time_of=lambda _: None,
            settings=RuntimeSettings(**FAST, revoke_budget_ms=budget_ms),
            telemetry=self.telemetry,
            stop=self.stop,
        )
        self._sink = sink.name
        self.thread = threading.Thread(target=running.run_forever, daemon=True)
        self.thread.start()

    def taken(self) -> float:
        labels = {"sink": self._sink, "partition": "0"}
        return self.telemetry.registry.get_sample_value("feed_consumer_records_total", labels) or 0


@pytest.fixture(params=["audit", "archive", "analytics"])
def held(request: pytest.FixtureRequest) -> Iterator[Held]:
    made = Held(request.param)
    yield made
    made.answers.set()
    if made.warehouse is not None:
        made.warehouse.engine.close()


def test_a_member_leaves_within_its_budget(held: Held) -> None:
    """S3 hangs in the flush of a stop: the member leaves, commits nothing, and the next owner stores each once."""
    broker = MemoryBroker("orders")
    for change in life("created", "paid", "packed", "shipped"):
        broker.put(b"o-1", CODEC.encode(change), headers=headers_of(change))
    first = Member(broker, held.sink(), budget_ms=BUDGET_MS)
    until(lambda: first.taken() == 4, "four records taken")
    began = time.monotonic()
    first.stop.set()
    until(held.asked.is_set, "the flush to reach the store")
    first.thread.join(10)
    took_s = time.monotonic() - began
    assert not first.thread.is_alive()
    assert 0.8 * BUDGET_MS / 1000 <= took_s < BUDGET_MS / 1000 + 3, "and some room for a busy machine"
    assert broker.committed(GROUP) == 0
    held.answers.set()
    second = Member(broker, held.sink(), budget_ms=20_000)
    # an upload that landed after all is found by the next owner: then it need not read anything again
    until(lambda: second.taken() == 4 or broker.committed(GROUP) == 4, "the next owner")
    second.stop.set()
    second.thread.join(25)
    assert not second.thread.is_alive()
    assert broker.committed(GROUP) == 4
    assert held.stored() == [0, 1, 2, 3]


def test_a_bound_is_shared_by_several_waits() -> None:
    """Two waits of one bound take no longer than the bound; what comes in time is given."""
    now_s = [0.0]
    within = Within(1_000, monotonic=lambda: now_s[0])
    done: Future[int] = Future()
    done.set_result(7)
    assert within.of(done) == 7
    now_s[0] = 0.8
    assert within.left_s == pytest.approx(0.2)
    now_s[0] = 1.5
    assert within.left_s == 0
    with pytest.raises(RetryableError, match="within the bound"):
        within.of(Future())
    assert Within(None).left_s is None


def test_a_try_that_was_given_up_is_waited_for_later() -> None:
    """The bound ends the wait, not the work: the next wait takes its result, and nothing runs twice."""
    answers, runs = threading.Event(), []

    def work() -> str:
        runs.append(1)
        assert answers.wait(10)
        return "stored"

    upload = Upload(UploadThreads(1, "test"), work)
    with pytest.raises(RetryableError, match="within the bound"):
        upload.wait(Within(20))
    answers.set()
    assert upload.wait(Within(5_000)) == "stored"
    assert (runs, upload.failures) == ([1], 0)


def test_threads_of_uploads_do_not_keep_a_process() -> None:
    """More work than threads is done, a failure reaches who asks, and each thread is one that nobody waits for."""
    threads = UploadThreads(2, "test-uploads")
    assert list(threads.map(lambda n: n * n, range(5))) == [0, 1, 4, 9, 16]
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 / 0).result(5)
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("test-uploads")]
    assert len(ours) == 2
    assert all(thread.daemon for thread in ours)
