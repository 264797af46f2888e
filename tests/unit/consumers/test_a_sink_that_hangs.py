"""What a loop does about a sink that does not come back, in virtual time; and about a whole sink, on memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from connectors.telemetry import Telemetry
from consumers.runtime import BatchSink, MemoryBroker, Partition, Record, RecordSink, RuntimeSettings, consumer
from consumers.runtime.aside import AsideFlow
from consumers.runtime.flow import SinkHangsError
from consumers.runtime.memory_record import MemoryRecord
from consumers.runtime.pressure import Load
from feed.testing import until
from schemas.change import Change
from schemas.errors import FatalError, RetryableError
from tests.unit.consumers.consumer_contract import FAST, Batches, Recorder, Writer, decode, value_of, written_at
from tests.unit.consumers.virtual_calls import VirtualCalls, VirtualClock

PATIENCE_MS = 100
BUDGET_MS = 1_000
GROUP = "orders.hanging"


class Told:
    """A flow that notes what it is told, and is durable as far as it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.durable: dict[int, int] = {}
        self.interrupted = 0
        self.failing: Exception | None = None

    def open(self, partition: Partition, committed: int) -> int:
        if self.failing is not None:
            raise self.failing
        self.told.append(("open", partition.number))
        self.durable[partition.number] = committed
        return committed

    def accept(self, partition: int, records: Sequence[Record]) -> None:
        if self.failing is not None:
            raise self.failing
        self.told.append(("accept", partition, [record.offset() for record in records]))
        self.durable[partition] = records[-1].offset() + 1

    def reached(self, partition: int, position: int) -> None:
        self.told.append(("reached", partition, position))

    def work(self) -> int | None:
        return 250

    def committable(self, partition: int) -> int:
        return self.durable[partition]

    def load(self, partition: int) -> Load:
        return Load()

    def blocked(self, partition: int) -> str | None:
        return None

    def trouble(self, partition: int) -> str:
        return ""

    def hangs(self) -> str:
        return ""

    def interrupt(self) -> None:
        self.interrupted += 1

    def settle(self, partitions: Any, budget_ms: int) -> None:
        self.told.append(("settle", *partitions, budget_ms))

    def forget(self, partitions: Any) -> None:
        for number in partitions:
            if self.durable.pop(number, None) is not None:
                self.told.append(("forget", number))

    def close(self) -> None:
        self.told.append(("close",))


class Bench:
    """An aside flow with two open partitions, whose next call hangs for as long as it is told."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.hangs: list[int] = []
        self.flow = Told()
        calls = VirtualCalls(self.clock, lambda: self.hangs.pop(0) if self.hangs else 0)
        self.aside = AsideFlow(self.flow, calls, patience_ms=PATIENCE_MS)
        for number in (0, 1):
            self.aside.open(partition(number), 0)
        self.flow.told.clear()

    def accept(self, number: int, *offsets: int) -> None:
        self.aside.accept(number, [MemoryRecord("orders", number, offset, b"k", b"value") for offset in offsets])

    def accepted(self) -> list[tuple[Any, ...]]:
        return [told for told in self.flow.told if told[0] == "accept"]


def partition(number: int) -> Partition:
    return Partition("memory", "orders-1", "orders", number)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_call_that_hangs_is_waited_for_a_moment_at_a_time(bench: Bench) -> None:
    """The loop comes back at its patience, says who hangs; what comes meanwhile waits, is counted, keeps its order."""
    bench.accept(0, 0, 1)
    bench.hangs = [250]
    assert bench.aside.work() == 0
    assert bench.clock.now_ms == 1_000 + PATIENCE_MS
    assert bench.aside.hangs() == "the sink has not answered for 0 s (a turn)"
    assert bench.aside.committable(0) == 0
    bench.accept(0, 2)
    bench.accept(1, 7)
    bench.aside.reached(0, 5)
    assert bench.aside.load(0) == Load(records=1, payload_bytes=6)
    assert bench.aside.work() == 0
    assert bench.aside.work() == 250
    assert bench.clock.now_ms == 1_250
    assert bench.aside.hangs() == ""
    assert bench.flow.told == [("accept", 0, [0, 1]), ("accept", 0, [2]), ("accept", 1, [7]), ("reached", 0, 5)]
    assert bench.aside.committable(0) == 3
    assert bench.aside.load(0) == Load()


def test_a_revoke_waits_for_its_budget_and_no_longer(bench: Bench) -> None:
    """Past the budget nothing more is durable than before; nothing is told of the partition but its end, and late."""
    bench.accept(0, 0)
    bench.accept(1, 0)
    bench.hangs = [60_000]
    bench.aside.work()
    bench.accept(0, 1)
    bench.accept(1, 1)
    began_ms = bench.clock.now_ms
    bench.aside.settle([1], BUDGET_MS)
    assert bench.clock.now_ms - began_ms == BUDGET_MS
    assert bench.flow.interrupted == 1
    assert bench.aside.committable(1) == 0
    bench.aside.forget([1])
    assert bench.clock.now_ms - began_ms == BUDGET_MS + PATIENCE_MS
    assert bench.flow.told == []
    bench.clock.now_ms += 60_000
    bench.aside.work()
    assert bench.accepted() == [("accept", 0, [0]), ("accept", 0, [1])]
    assert ("forget", 1) in bench.flow.told
    assert bench.aside.committable(0) == 2


def test_a_call_that_ends_within_the_budget_leaves_the_rest_to_settling(bench: Bench) -> None:
    """The budget is one for both: what the call leaves of it is for the flow's own settling, which is told before."""
    bench.accept(0, 0)
    bench.hangs = [PATIENCE_MS + 400]
    bench.aside.work()
    bench.aside.settle([0, 1], BUDGET_MS)
    assert bench.flow.told[-1] == ("settle", 0, 1, 540)
    assert bench.clock.now_ms == 1_000 + PATIENCE_MS + 400


def test_an_interrupted_turn_goes_on_with_the_partitions_that_stay(bench: Bench) -> None:
    """What was not told yet when a revoke came is told after it, in order, except of what was taken away."""
    bench.accept(0, 0)
    bench.accept(1, 0)
    bench.hangs = [PATIENCE_MS + 10]
    bench.aside.work()
    bench.accept(0, 1)
    bench.aside.settle([1], BUDGET_MS)
    bench.aside.forget([1])
    assert bench.accepted() == []
    bench.aside.work()
    assert bench.accepted() == [("accept", 0, [0]), ("accept", 0, [1])]


def test_an_opening_that_hangs_is_asked_once(bench: Bench) -> None:
    """It is no failure; its answer is taken by the next try, and an error of it is raised there."""
    bench.hangs = [PATIENCE_MS + 30]
    with pytest.raises(SinkHangsError, match=r"open orders\[2\]"):
        bench.aside.open(partition(2), 40)
    assert bench.aside.open(partition(2), 40) == 40
    assert bench.flow.told == [("open", 2)]
    bench.flow.failing = RetryableError("away", hint="")
    bench.hangs = [PATIENCE_MS + 30]
    with pytest.raises(SinkHangsError):
        bench.aside.open(partition(3), 1)
    with pytest.raises(RetryableError, match="away"):
        bench.aside.open(partition(3), 1)
    bench.flow.failing = None
    assert bench.aside.open(partition(3), 1) == 1


def test_a_partition_taken_away_while_it_opens_is_closed(bench: Bench) -> None:
    """Its opening ends when nobody waits for it any more: it is forgotten at once, and no error of it counts."""
    bench.hangs = [5_000]
    with pytest.raises(SinkHangsError):
        bench.aside.open(partition(2), 40)
    bench.aside.forget([2])
    bench.clock.now_ms += 5_000
    bench.aside.work()
    assert bench.flow.told == [("open", 2), ("forget", 2)]
    assert bench.aside.open(partition(2), 50) == 50
    assert bench.aside.committable(2) == 50
    bench.flow.failing = FatalError("the next owner is told the same", hint="")
    bench.hangs = [5_000]
    with pytest.raises(SinkHangsError):
        bench.aside.open(partition(3), 1)
    bench.aside.forget([3])
    bench.clock.now_ms += 5_000
    assert bench.aside.work() == 250


def test_an_opening_whose_start_moved_is_made_anew(bench: Bench) -> None:
    """Retention went on while it hung: the partition is closed and opened from where it begins now."""
    bench.hangs = [PATIENCE_MS + 30]
    with pytest.raises(SinkHangsError):
        bench.aside.open(partition(2), 40)
    assert bench.aside.open(partition(2), 45) == 45
    assert bench.flow.told == [("open", 2), ("forget", 2), ("open", 2)]


def test_what_a_hanging_call_raises_stops_the_loop(bench: Bench) -> None:
    """Nothing is logged and forgotten: its error comes out of a later turn."""
    bench.flow.failing = FatalError("no more", hint="")
    bench.accept(0, 0)
    bench.hangs = [PATIENCE_MS + 30]
    assert bench.aside.work() == 0
    with pytest.raises(FatalError, match="no more"):
        bench.aside.work()


# -- a consumer on memory, with a thread ----------------------------------------------------------------------------


class Silent:
    """Something that does not answer until it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.answers = threading.Event()

    def __call__(self) -> None:
        self.asked.set()
        assert self.answers.wait(60)


class SilentRecorder(Recorder):
    """A record sink whose dependency is silent about key ``quiet``."""

    def __init__(self, silent: Silent) -> None:
        super().__init__()
        self.silent = silent

    def handle(self, change: Change) -> None:
        if change.key["orderId"]["S"] == "quiet":
            self.silent()
        super().handle(change)


class SilentWriter(Writer):
    def add(self, records: Sequence[Record]) -> None:
        self.sink.silent()  # type: ignore[attr-defined]  # it is a SilentBatches
        super().add(records)


class SilentBatches(Batches):
    """A batch sink whose store is silent when it is opened, or when records are added."""

    def __init__(self, silent: Silent, *, at_open: bool) -> None:
        super().__init__(size=1)
        self.silent = silent
        self.at_open = at_open

    def open(self, partition: Partition, committed: int) -> tuple[int, Writer]:
        if self.at_open:
            self.silent()
            return committed, Writer(self, partition.number, committed)
        return committed, SilentWriter(self, partition.number, committed)


SINKS: dict[str, Callable[[Silent], RecordSink | BatchSink]] = {
    "handle": SilentRecorder,
    "open": lambda silent: SilentBatches(silent, at_open=True),
    "add": lambda silent: SilentBatches(silent, at_open=False),
}


class Member:
    """A consumer on a thread of its own."""

    def __init__(self, broker: MemoryBroker, sink: RecordSink | BatchSink) -> None:
        self.stop = threading.Event()
        self.telemetry = Telemetry("test")
        running = consumer(
            sink,
            topic="orders",
            group=GROUP,
            broker=broker,
            decode=decode,
            time_of=written_at,
            settings=RuntimeSettings(**FAST, revoke_budget_ms=300),
            telemetry=self.telemetry,
            stop=self.stop,
        )
        self.thread = threading.Thread(target=running.run_forever, daemon=True)
        self.thread.start()

    def ended_after_s(self) -> float:
        began = time.monotonic()
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive()
        return time.monotonic() - began


@pytest.mark.parametrize("where", SINKS)
def test_a_stop_does_not_wait_for_a_sink_that_hangs(where: str) -> None:
    """A call that never comes back holds a stop for the budget; nothing of it is committed, the next owner does it."""
    broker, silent = MemoryBroker("orders"), Silent()
    for n in range(3):
        broker.put(b"quiet", value_of("quiet", n))
    first = Member(broker, SINKS[where](silent))
    assert silent.asked.wait(20)
    try:
        assert first.ended_after_s() < 0.3 + 5, "the budget, and room for a busy machine"
        assert not broker.committed(GROUP)
        second_sink = Recorder()
        second = Member(broker, second_sink)
        until(lambda: broker.committed(GROUP) == 3, "the next owner's commit", within_s=20)
        second.ended_after_s()
        assert second_sink.of("quiet") == [0, 1, 2]
    finally:
        silent.answers.set()


def test_a_revoke_reaches_a_member_whose_sink_hangs() -> None:
    """A second member gets its share while the first one's sink hangs; the first goes on with what it kept."""
    broker, silent = MemoryBroker("orders", partitions=2), Silent()
    first_sink, second_sink = SilentRecorder(silent), Recorder()
    broker.put(b"quiet", value_of("quiet", 0), partition=0)
    first = Member(broker, first_sink)
    assert silent.asked.wait(20)
    second = Member(broker, second_sink)
    try:
        broker.put(b"b", value_of("b", 1), partition=1)
        until(lambda: second_sink.of("b") == [1] or first_sink.of("b") == [1], "somebody's share", within_s=20)
        assert second_sink.of("b") == [1], "the first member's sink hangs: it can only be the second"
        silent.answers.set()
        until(lambda: broker.committed(GROUP, 0) == 1 and broker.committed(GROUP, 1) == 1, "commits", within_s=20)
        assert first_sink.of("quiet") == [0]
    finally:
        silent.answers.set()
        first.ended_after_s()
        second.ended_after_s()
