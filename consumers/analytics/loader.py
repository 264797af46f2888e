"""Loads of all partitions together: at most one under way, its fate always known before the next."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from connectors.redshift import StatementState
from consumers.analytics.loads import Fate, Load, Part, after_ledger, fate_of
from consumers.analytics.rows import Rows, RowShape, from_offset
from consumers.analytics.settings import AnalyticsSettings
from consumers.analytics.staging import Staging
from consumers.analytics.warehouse import Warehouse
from consumers.runtime.contracts import Partition
from consumers.uploads import UploadThreads, Within
from schemas.errors import FatalError, RetryableError
from schemas.marker import SnapshotMarker

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_BACKOFF_MS: Final = 500
MAX_BACKOFF_MS: Final = 60_000
"""Waits between tries of a load, doubling, with full jitter."""

WAIT_TRIES: Final = 5
"""Tries of a load that :meth:`Loader.wait` makes before it gives up for now."""


class AnalyticsMetrics:
    """What the analytics sink counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter("feed_sink_analytics_records", "Records loaded", registry=registry)
        self.loads = Counter("feed_sink_analytics_loads", "Loads committed", registry=registry)
        self.failures = Counter("feed_sink_analytics_load_failures", "Tries of a load that failed", registry=registry)
        self.waiting = Gauge("feed_sink_analytics_waiting", "Records that wait for a load", registry=registry)
        self.seconds = Histogram(
            "feed_sink_analytics_load_seconds",
            "From the first upload of a load to its commit",
            registry=registry,
            buckets=(0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600),
        )


@dataclass(slots=True)
class Assigned:
    """One assigned partition."""

    rows: Rows
    loaded: int
    """The ledger's next offset, as last seen."""
    taken: int
    """The next offset expected from the topic."""
    markers: list[tuple[int, SnapshotMarker]] = field(default_factory=list)
    """Ends of snapshots that wait for a load, with their offsets."""


@dataclass(slots=True)
class _UnderWay:
    load: Load
    statement_id: str = ""
    """Empty while it is still to be staged and submitted."""
    submitted_ms: int = 0
    again_at_ms: int = 0
    failures: int = 0
    """Tries that failed, for whatever reason."""
    refusals: int = 0
    """Tries that the warehouse itself refused."""


class Loader:
    """Gathers rows of all assigned partitions and loads them in one transaction.

    The contract's calls come partition by partition; the first tick after the interval starts a load of them all, since
    one transaction for eight partitions costs a warehouse about as much as one for a single partition.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        staging: Staging,
        shape: RowShape,
        settings: AnalyticsSettings,
        *,
        metrics: AnalyticsMetrics,
        now_ms: Callable[[], int],
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._warehouse = warehouse
        self._staging = staging
        self._shape = shape
        self._settings = settings
        self._metrics = metrics
        self._now_ms = now_ms
        self._sleep = sleep
        self._jitter = jitter
        self._assigned: dict[Partition, Assigned] = {}
        self._under_way: _UnderWay | None = None
        self._gathering_since_ms: int | None = None
        self._asking = UploadThreads(1, "analytics-flush")
        self._within = Within(None)
        """What is left for calls to S3 and the warehouse while partitions are taken away."""

    def assign(self, partition: Partition, start: int) -> Assigned:
        """Begin to gather for a partition whose ledger stands at ``start``."""
        assigned = Assigned(Rows(self._shape), loaded=start, taken=start)
        self._assigned[partition] = assigned
        return assigned

    def forget(self, partition: Partition) -> None:
        """Drop what waits for a partition. A load that carries it may still commit: the next owner reads the ledger."""
        self._assigned.pop(partition, None)

    def carries(self, partition: Partition) -> bool:
        """Whether the load under way has rows of a partition."""
        return self._under_way is not None and any(part.partition == partition for part in self._under_way.load.parts)

    def gathered(self) -> None:
        """Rows were added, or a position reached without any: the interval begins with the first."""
        if self._gathering_since_ms is None:
            self._gathering_since_ms = self._now_ms()

    def make_room(self) -> None:
        """Before rows are taken: wait for loads while too much is held.

        Raises:
            RetryableError: the warehouse or S3 is away.
        """
        if self._held_bytes() > self._settings.memory_bytes:
            self.wait()

    def tick(self, now_ms: int) -> None:
        """Go on with the load under way, and start the next when it is due.

        Raises:
            FatalError: the warehouse refuses a load again and again, or its ledger went back.
        """
        try:
            self._advance(now_ms)
        except RetryableError as error:
            self._failed(now_ms, str(error))
        waiting = sum(len(assigned.rows) for assigned in self._assigned.values())
        self._metrics.waiting.set(waiting)
        since_ms = self._gathering_since_ms
        due = since_ms is not None and now_ms - since_ms >= self._settings.interval_ms
        if self._under_way is None and (due or waiting >= self._settings.load_records):
            self._gather(now_ms)
            self.tick(now_ms)

    def wait(self, within_ms: int | None = None) -> None:
        """Load everything that was taken; returns when it has committed.

        Raises:
            RetryableError: several tries failed, or it was not committed within the bound; the load stays and is tried
                again at the next tick.
            FatalError: as in :meth:`tick`.
        """
        self._within = Within(within_ms)
        try:
            self._load_all()
        finally:
            self._within = Within(None)

    def _load_all(self) -> None:
        failures = 0
        while True:
            if self._under_way is None and not self._gather(self._now_ms()):
                return
            if self._within.left_s == 0:
                raise RetryableError("a load was not committed within the bound", hint="the next owner loads it")
            before = self._under_way.failures if self._under_way else 0
            try:
                self._advance(self._now_ms(), at_once=True)
            except RetryableError as error:
                self._failed(self._now_ms(), str(error))
            if self._under_way is not None and self._under_way.failures > before:
                failures += 1
                if failures >= WAIT_TRIES:
                    raise RetryableError("the warehouse did not take a load", hint="the metrics and its log say why")
                self._within.sleep(max(self._under_way.again_at_ms - self._now_ms(), 0) / 1000, self._sleep)
            elif self._under_way is not None:
                self._within.sleep(self._warehouse.poll_interval_ms / 1000, self._sleep)

    def _ask(self, call: Callable[[], T]) -> T:
        """Call S3 or the warehouse. With a bound, from another thread: the clients' own time-outs are longer.

        A call that ends after the bound does no harm: files and statements are named by what they hold, and the ledger
        decides whether a load counts.
        """
        return call() if self._within.left_s is None else self._within.of(self._asking.submit(call))

    def _held_bytes(self) -> int:
        gathered = sum(assigned.rows.nbytes for assigned in self._assigned.values())
        return gathered + (self._under_way.load.nbytes if self._under_way else 0)

    def _gather(self, now_ms: int) -> bool:
        """Make the next load of all that waits; False when nothing does. A partition without rows only moves on."""
        parts: list[Part] = []
        for partition, assigned in self._assigned.items():
            nbytes = assigned.rows.nbytes
            rows = from_offset(assigned.rows.take(), assigned.loaded)
            if assigned.taken > assigned.loaded:
                markers = tuple(pair for pair in assigned.markers if pair[0] >= assigned.loaded)
                assigned.markers.clear()
                parts.append(Part(partition, assigned.loaded, assigned.taken, rows, nbytes, markers))
        self._gathering_since_ms = None
        if parts:
            self._under_way = _UnderWay(Load(tuple(parts), gathered_ms=now_ms))
        return bool(parts)

    def _advance(self, now_ms: int, *, at_once: bool = False) -> None:
        under_way = self._under_way
        if under_way is None or (now_ms < under_way.again_at_ms and not at_once):
            return
        if not under_way.statement_id:
            manifest_url = self._ask(partial(self._staging.stage, under_way.load))
            under_way.statement_id = self._ask(partial(self._warehouse.start, under_way.load, manifest_url))
            under_way.submitted_ms = now_ms
        status = self._ask(partial(self._warehouse.status, under_way.statement_id))
        if status.state is StatementState.FINISHED:
            self._committed(under_way, now_ms)
        elif status.state is not StatementState.RUNNING:
            refused = status.state is StatementState.FAILED
            self._read_fate(under_way, now_ms, status.error, refused=refused)
        elif now_ms - under_way.submitted_ms >= self._warehouse.timeout_ms:
            self._warehouse.cancel(under_way.statement_id)
            self._read_fate(under_way, now_ms, "it has not ended in time")

    def _read_fate(self, under_way: _UnderWay, now_ms: int, why: str, *, refused: bool = False) -> None:
        """A bad answer is no proof: the ledger says what happened."""
        load = under_way.load.without(
            [part.partition for part in under_way.load.parts if part.partition not in self._assigned]
        )
        if not load.parts:
            self._under_way = None
            return
        ledger: dict[Partition, int] = {}
        for topic in {part.partition.topic for part in load.parts}:
            ledger |= self._ask(partial(self._warehouse.ledger, topic))
        fate = fate_of(load, ledger)
        if fate is Fate.LOADED:
            self._committed(under_way, now_ms)
            return
        under_way.statement_id = ""
        if fate is Fate.NOT_LOADED:
            under_way.refusals += refused  # being overtaken is none, however often
            under_way.load = load.again()
            self._failed(now_ms, why)
            return
        log.warning("another loader moved the ledger, going on behind it error=%s", why)
        for part in load.parts:
            assigned = self._assigned[part.partition]
            assigned.loaded = max(assigned.loaded, ledger.get(part.partition, part.start))
            assigned.taken = max(assigned.taken, assigned.loaded)
        under_way.load = after_ledger(load, ledger)
        if not under_way.load.parts:
            self._under_way = None

    def _committed(self, under_way: _UnderWay, now_ms: int) -> None:
        for part in under_way.load.parts:
            assigned = self._assigned.get(part.partition)
            if assigned is not None:
                assigned.loaded = max(assigned.loaded, part.end)
        self._metrics.loads.inc()
        self._metrics.records.inc(under_way.load.count)
        self._metrics.seconds.observe((now_ms - under_way.load.gathered_ms) / 1000)
        self._under_way = None

    def _failed(self, now_ms: int, why: str) -> None:
        self._metrics.failures.inc()
        under_way = self._under_way
        if under_way is None:
            return
        under_way.failures += 1
        if under_way.refusals >= self._settings.max_refusals:
            raise FatalError(
                f"the warehouse refused a load {under_way.refusals} times: {why}",
                hint="mend what it names and start the consumer again: it goes on from the ledger, nothing is lost",
            )
        ceiling_ms = min(FIRST_BACKOFF_MS * 2 ** (under_way.failures - 1), MAX_BACKOFF_MS)
        under_way.again_at_ms = now_ms + int(ceiling_ms * self._jitter())
        if under_way.failures & (under_way.failures - 1) == 0:  # the 1st, 2nd, 4th, 8th, …: an outage is one story
            log.warning("load failed, tried again failures=%d error=%s", under_way.failures, why)
