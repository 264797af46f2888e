"""All that is watched while a demo runs, as one snapshot: the probes, the scrapes, the workload's own account."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from connectors.kafka import KafkaClients
from feed.demo.drain import behind, committed_offsets
from feed.demo.estate import PRODUCER, Estate
from feed.demo.live import Row, Snapshot, consumer_row, producer_row, topic_row
from feed.demo.plan import CONSUMER_REGIONS, HOME
from feed.demo.probe import Probe
from feed.demo.scrape import Scraper
from feed.run.codec import codec_of
from feed.workload.run import Progress


class Watch:
    """Probes in each region and a scraper, from :meth:`__enter__` on."""

    def __init__(self, estate: Estate, now_ms: Callable[[], int]) -> None:
        config = estate.config
        self._estate = estate
        self._now_ms = now_ms
        codec = codec_of(config)
        self.probes = {
            region: Probe(
                region,
                KafkaClients(config.regions[region].kafka, client_id="feed-probe"),
                topic=config.feed,
                partitions=config.topic.partitions,
                codec=codec,
                now_ms=now_ms,
                time_attribute=config.table.time_attribute or "updatedAt",
            )
            for region in estate.plan.regions
        }
        self.scraper = Scraper(estate.ports)
        self._clients = {
            region: KafkaClients(config.regions[region].kafka, client_id="feed-probe") for region in estate.plan.regions
        }

    def __enter__(self) -> Self:
        for probe in self.probes.values():
            probe.start()
        self.scraper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.scraper.close()
        for probe in self.probes.values():
            probe.close()

    def snapshot(self, phase: str, progress: Progress | None) -> Snapshot:
        """This moment."""
        return Snapshot(phase, progress.to_line() if progress else "nothing written yet", self._rows(progress))

    def left(self, changes: int) -> list[str]:
        """What has not arrived, of so many changes, as sentences; empty when all has."""
        left = [
            f"{changes - probe.records} of {changes} changes have not come to the topic in {region}"
            for region, probe in self.probes.items()
            if probe.records < changes
        ]
        if left:
            return left
        feed, partitions = self._estate.config.feed, self._estate.config.topic.partitions
        for name in self._estate.plan.consumers:
            region = CONSUMER_REGIONS[name]
            committed = committed_offsets(self._clients[region], f"{feed}.{name}", feed, partitions)
            if count := behind(self.probes[region].ends, committed):
                left.append(f"{name} in {region} has not made {count} offsets durable")
        return left

    def _rows(self, progress: Progress | None) -> list[Row]:
        rows = [producer_row(HOME, self.scraper.readings[PRODUCER])]
        writes = progress.writes if progress else 0
        for region, probe in self.probes.items():
            quiet_s = (self._now_ms() - probe.moved_ms) / 1_000 if probe.moved_ms else 0.0
            # no-op writes give no record: what the workload wrote is the upper bound of what may come
            rows.append(topic_row(region, probe.records, min(writes, self._written()), quiet_s, probe.latencies()))
            rows += [
                consumer_row(region, name, self.scraper.readings[name])
                for name in self._estate.plan.consumers
                if CONSUMER_REGIONS[name] == region
            ]
        return rows

    def _written(self) -> int:
        """What the home region shows is what the others can have."""
        return self.probes[HOME].records


def read_progress(log: bytes) -> Progress | None:
    """The last whole line that the workload printed, None before the first."""
    for line in reversed(log.splitlines()):
        if line.startswith(b"{") and line.endswith(b"}"):
            return Progress(**orjson.loads(line))
    return None


def tail(path: Path, size: int = 8_192) -> bytes:
    """The end of a file that grows; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read()
    except FileNotFoundError:
        return b""


def now_ms() -> int:
    """The wall clock, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
