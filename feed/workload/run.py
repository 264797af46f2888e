"""The whole workload: its lanes on threads, its ledger, and what it says about itself while it runs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson

from feed.workload.lane import Clock, Lane
from feed.workload.ledger import SYNC_INTERVAL_MS, Ledger
from feed.workload.plan import plan_lane
from feed.workload.settings import WorkloadSettings
from feed.workload.wire import Signer, TableConnection
from schemas.errors import FeedError

REPORT_INTERVAL_S: Final = SYNC_INTERVAL_MS / 1_000


@dataclass(frozen=True, slots=True)
class Table:
    """The table that is written to, and how to be let in."""

    name: str
    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str
    session_token: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The workload's own account. Lateness over a second means the table, not the workload, sets the pace."""

    seconds: float
    writes: int
    achieved_per_s: float
    read_backs: int
    lateness_p50_ms: float
    lateness_p99_ms: float
    call_p50_ms: float
    call_p99_ms: float
    cpu_ms_per_write: float
    """CPU of this process, divided by the writes."""

    def to_line(self) -> str:
        """One line for a person."""
        return (
            f"{self.writes} writes in {self.seconds:.1f} s, {self.achieved_per_s:.0f}/s; "
            f"late by p50 {self.lateness_p50_ms:.0f} / p99 {self.lateness_p99_ms:.0f} ms; "
            f"a write takes p50 {self.call_p50_ms:.1f} / p99 {self.call_p99_ms:.1f} ms "
            f"and {self.cpu_ms_per_write:.2f} ms of CPU; {self.read_backs} read back"
        )


class Workload:
    """One run against one table."""

    def __init__(self, settings: WorkloadSettings, table: Table, ledger: Path) -> None:
        self.settings = settings
        self._stop = threading.Event()
        self._failure: list[FeedError] = []
        self._cpu_before_s = 0.0
        run = {"table": table.name, "started_ms": round(time.time() * 1_000), **settings.model_dump()}
        self._ledger = Ledger(ledger, run)
        self._connections = [self._connection(table) for _ in range(settings.lanes)]
        clock = Clock(_now_ms, self._sleep_ms, self._stop.is_set)
        self._lanes = [
            Lane(connection, table.name, self._ledger.append, clock, settle_timeout_ms=settings.settle_timeout_ms)
            for connection in self._connections
        ]

    def run(self, report: Callable[[Progress], None]) -> Progress:
        """Write until the plan is done, :meth:`stop` is called, or a lane fails; reports every second.

        Raises:
            FeedError: what a lane failed with, after all lanes have stopped and the ledger is closed.
        """
        started, self._cpu_before_s = time.monotonic(), time.process_time()
        start_ms = _now_ms()
        threads = [
            threading.Thread(target=self._run_lane, args=(number, lane, start_ms), name=f"lane-{number}")
            for number, lane in enumerate(self._lanes)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            threads[0].join(REPORT_INTERVAL_S) if threads[0].is_alive() else self._join_any(threads)
            self._ledger.sync()
            report(self._progress(time.monotonic() - started))
        progress = self._progress(time.monotonic() - started)
        for connection in self._connections:
            connection.close()
        ended = str(self._failure[0]) if self._failure else ("stopped" if self._stop.is_set() else "done")
        self._ledger.close(ended)
        if self._failure:
            raise self._failure[0]
        return progress

    def stop(self) -> None:
        """End the run after the writes that are under way; safe in a signal handler."""
        self._stop.set()

    def _run_lane(self, number: int, lane: Lane, start_ms: float) -> None:
        try:
            lane.run(plan_lane(self.settings, number), start_ms)
        except FeedError as error:
            self._failure.append(error)
            self._stop.set()

    @staticmethod
    def _join_any(threads: list[threading.Thread]) -> None:
        alive = [thread for thread in threads if thread.is_alive()]
        if alive:
            alive[0].join(REPORT_INTERVAL_S)

    def _sleep_ms(self, ms: float) -> None:
        self._stop.wait(ms / 1_000)

    def _connection(self, table: Table) -> TableConnection:
        def signer(host: str) -> Signer:
            return Signer(host, table.region, table.access_key_id, table.secret_access_key, table.session_token)

        return TableConnection(table.endpoint, signer, timeout_ms=self.settings.call_timeout_ms)

    def _progress(self, seconds: float) -> Progress:
        lateness = sorted(value for lane in self._lanes for value in list(lane.report.lateness_ms))
        calls = sorted(value for lane in self._lanes for value in list(lane.report.call_ms))
        writes = len(calls)
        return Progress(
            seconds=seconds,
            writes=writes,
            achieved_per_s=writes / seconds if seconds else 0.0,
            read_backs=sum(lane.report.read_backs for lane in self._lanes),
            lateness_p50_ms=_quantile(lateness, 0.5),
            lateness_p99_ms=_quantile(lateness, 0.99),
            call_p50_ms=_quantile(calls, 0.5),
            call_p99_ms=_quantile(calls, 0.99),
            cpu_ms_per_write=(time.process_time() - self._cpu_before_s) * 1_000 / writes if writes else 0.0,
        )


def write_order(file: Path, settings: WorkloadSettings, table: Table, ledger: Path) -> None:
    """Write the file that :func:`main` reads; only its owner may read it, since it holds the table's credentials."""
    order = {"settings": settings.model_dump(), "table": asdict(table), "ledger": str(ledger)}
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(orjson.dumps(order))


def progress_to_dict(progress: Progress) -> dict[str, float]:
    """For a JSON line."""
    return asdict(progress)


def _now_ms() -> float:
    return time.time() * 1_000


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
