"""``feed demo``: set everything up, write orders, watch them arrive, stop, wait until all is drained, prove it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from feed.demo.cpu import CpuMeter
from feed.demo.drain import wait_until_drained
from feed.demo.estate import PRODUCER, Estate
from feed.demo.kills import Killer, Stall, Victim
from feed.demo.metrics import parse, quantile
from feed.demo.plan import AWS_REGIONS, CONSUMER_REGIONS, FEED, HOME
from feed.demo.scrape import Reading, fetch
from feed.demo.show import Show
from feed.demo.watch import Watch, now_ms, read_progress, tail
from feed.local import Program
from feed.verify.expected import expect
from feed.verify.run import verify
from feed.verify.verdict import Verdict
from feed.workload import LedgerReader
from feed.workload.run import Progress, Table, write_order
from schemas.errors import FatalError

LOOK_INTERVAL_S: Final = 0.25
OVERRUN_BOUND_S: Final = 120.0
"""How much longer than planned the workload may take on a slow table before the demo gives up."""

REACTION_P99_MS: Final = 2_000
"""From a write to the warehouse's reaction, on an idle machine."""

OUTPUT_INTERVAL_S: Final = 0.2
"""How often a victim's metrics are asked for while its stall is measured."""


@dataclass(slots=True)
class Outcome:
    """What a demo found."""

    verdict: Verdict
    progress: Progress | None
    not_drained: list[str]
    stalls: list[Stall] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """All promises held, everything arrived in time, and every victim came back."""
        stalled = [stall.name for stall in self.stalls if stall.moved_after_s is None]
        return self.verdict.holds and not self.not_drained and not self.failures and not stalled

    def reasons(self) -> list[str]:
        """Why the demo failed, beside the verdict."""
        return [
            *(f"not drained in time: {sentence}" for sentence in self.not_drained),
            *(f"did not come back: {sentence}" for sentence in self.failures),
            *(
                f"{stall.name} gave no output after it was killed"
                for stall in self.stalls
                if stall.moved_after_s is None
            ),
        ]

    def to_report(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "holds": self.holds,
            "workload": asdict(self.progress) if self.progress else None,
            "not_drained": self.not_drained,
            "stalls": [asdict(stall) for stall in self.stalls],
            "failures": self.failures,
            "verdict": self.verdict.to_report(),
        }


class Demo:
    """One run on an estate that is at work."""

    def __init__(self, estate: Estate, show: Show) -> None:
        self._estate, self._show = estate, show
        self._plan = estate.plan
        self._cpu = CpuMeter()
        self._progress: Progress | None = None
        log_dir = estate.stack.site.log_dir
        self.ledger = log_dir / f"ledger-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.jsonl"
        self._workload = self._workload_part()

    def run(self) -> Outcome:
        """The whole of it.

        Raises:
            FatalError: the workload failed, or a part did not come up.
        """
        with Watch(self._estate, now_ms) as watch:
            killer = Killer(
                self._victims(watch) if self._plan.kill else (), self._plan.workload.seconds, self._show.say
            )
            with self._show:
                self._look_at_cpu()
                self._workload.start()
                killer.start()
                self._write(watch)
                killer.finish()
                not_drained = self._drain(watch)
                self._look_at_cpu()
                watch.scraper.scrape()
                self._show.last(watch.snapshot("at the end", self._progress))
        self._say_reaction(watch)
        self._say_look_ups(watch)
        self._say_cpu()
        self._show.say(f"verifying against {self.ledger}")
        verdict = verify(self._estate.config, self.ledger, self._show.say)
        failures = [str(failure) for failure in killer.failures]
        return Outcome(verdict, self._progress, not_drained, killer.stalls, failures)

    def _workload_part(self) -> Program:
        estate = self._estate
        aws = estate.config.regions[HOME].aws
        secret = aws.secret_access_key.get_secret_value() if aws.secret_access_key else ""
        table = Table(FEED, aws.endpoints["dynamodb"], AWS_REGIONS[HOME], aws.access_key_id or "", secret)
        order = estate.work_dir / "workload.json"
        write_order(order, self._plan.workload, table, self.ledger)
        part = Program("workload", estate.stack.site, argv=[sys.executable, "-m", "feed.workload", str(order)])
        estate.stack.add(part)
        return part

    def _write(self, watch: Watch) -> None:
        """Until the workload has ended."""
        seconds = self._plan.workload.seconds
        began_s = time.monotonic()
        while self._workload.pid is not None:
            elapsed_s = time.monotonic() - began_s
            if elapsed_s > seconds + OVERRUN_BOUND_S:
                raise FatalError(
                    f"the workload of {seconds:.0f} s is not done after {elapsed_s:.0f} s",
                    hint="the table is slower than the rate: lower --rate",
                )
            self._take_progress()
            self._show.update(watch.snapshot(f"writing, {elapsed_s:.0f} of {seconds:.0f} s", self._progress))
            time.sleep(LOOK_INTERVAL_S)
        self._take_progress()
        reader, _ = LedgerReader.whole(self.ledger)
        if reader.ended != "done":
            raise FatalError(
                f"the workload ended early: {reader.ended or 'it died'}", hint=f"see {self._workload.log_path}"
            )

    def _drain(self, watch: Watch) -> list[str]:
        changes = expect(LedgerReader(self.ledger)).changes
        began_s = time.monotonic()

        def look() -> list[str]:
            left = watch.left(changes)
            phase = f"draining, {time.monotonic() - began_s:.0f} of at most {self._plan.drain_bound_s:.0f} s"
            self._show.update(watch.snapshot(phase, self._progress))
            return left

        return wait_until_drained(look, self._plan.drain_bound_s, time.monotonic, time.sleep)

    def _take_progress(self) -> None:
        self._progress = read_progress(tail(self._workload.log_path)) or self._progress

    def _victims(self, watch: Watch) -> tuple[Victim, ...]:
        """The producer, the first mirror, the warehouse: as far as they take part."""
        victims = [self._victim(PRODUCER, 0.2, lambda: watch.probes[HOME].records)]
        others = [region for region in self._plan.regions if region != HOME]
        if others:
            victims.append(self._victim(f"mirror-{others[0]}", 0.4, lambda: watch.probes[others[0]].records))
        if "warehouse" in self._plan.consumers:
            victims.append(self._victim("warehouse", 0.6, RecordCount(self._estate.ports["warehouse"])))
        return tuple(victims)

    def _victim(self, name: str, at_share: float, output: Callable[[], int]) -> Victim:
        def kill() -> None:
            self._look_at_cpu()
            self._estate.stack.kill(name)

        def restart() -> None:
            self._estate.stack.restart(name)
            self._look_at_cpu()

        return Victim(name, at_share, kill, restart, output)

    def _look_at_cpu(self) -> None:
        pids = {name: part.pid for name, part in self._estate.stack.parts.items()}
        self._cpu.look({**pids, "this demo": os.getpid()})

    def _say_reaction(self, watch: Watch) -> None:
        """The promise "fast"; said, not judged, since a busy machine or a kill breaks it without a fault of ours."""
        if "warehouse" not in self._plan.consumers:
            return
        buckets = watch.scraper.readings["warehouse"].reactions
        p50_ms, p99_ms = (quantile(buckets, share) * 1_000 for share in (0.5, 0.99))
        kept = "kept" if p99_ms < REACTION_P99_MS else "NOT kept here"
        self._show.say(
            f"from write in {HOME} to pick in {CONSUMER_REGIONS['warehouse']}: p50 {p50_ms:.0f} ms, "
            f"p99 {p99_ms:.0f} ms; under {REACTION_P99_MS} ms is {kept}"
        )

    def _say_look_ups(self, watch: Watch) -> None:
        """Where the stand-in for the global table's replica stood, each time that the warehouse acted."""
        if "replicator" not in self._estate.stack.parts:
            return
        standings = watch.scraper.readings["warehouse"].samples.by_label("feed_warehouse_look_ups_total", "standing")
        told = ", ".join(f"{standing} {count:.0f}" for standing, count in sorted(standings.items()))
        self._show.say(f"look-ups in the replica, {self._plan.replica_delay_ms} ms late: {told or 'none'}")

    def _say_cpu(self) -> None:
        shares = self._cpu.shares()
        total = sum(share.seconds for share in shares)
        writes = self._progress.writes if self._progress else 0
        per_write = f", {total * 1_000 / writes:.2f} ms a write" if writes else ""
        self._show.say(f"CPU while writing and draining: {total:.1f} s{per_write}, of which")
        self._show.say(
            "  " + ", ".join(f"{share.name} {share.seconds:.1f}" for share in shares if share.seconds >= 0.05)
        )
        if self._progress is not None:
            self._show.say(f"workload: {self._progress.to_line()}")


class RecordCount:
    """A consumer's count of records over all its lives, asked for at most every ``OUTPUT_INTERVAL_S``."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reading = Reading()
        self._asked_s = 0.0

    def __call__(self) -> int:
        """The count; the last known one while the process is dead."""
        if time.monotonic() - self._asked_s >= OUTPUT_INTERVAL_S:
            text = fetch(self._port, "/metrics")
            self._asked_s = time.monotonic()
            if text is not None:
                self._reading.take(parse(text))
        return self._reading.counted("feed_consumer_records_total")
