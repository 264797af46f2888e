"""A reader in each region, beside the consumers: how many changes have come, and how long after their write.

It reads committed records with ``assign()``, so it is part of no group and moves no offset. All records are counted
and their last
offsets kept; only every ``SAMPLE_EVERY``-th is decoded for the time of its write.
"""

from __future__ import annotations

import bisect
import logging
import threading
from collections.abc import Callable
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Message, TopicPartition

from connectors.kafka import KafkaClients
from connectors.telemetry import LATENCY_BUCKETS_S
from schemas.codec import ChangeCodec, Depth
from schemas.errors import FeedError

SAMPLE_EVERY: Final = 10
BATCH: Final = 500
POLL_S: Final = 0.2

_log = logging.getLogger(__name__)


class Probe:
    """Reads one region's topic from its beginning on, in a thread of its own."""

    def __init__(
        self,
        region: str,
        clients: KafkaClients,
        *,
        topic: str,
        partitions: int,
        codec: ChangeCodec,
        now_ms: Callable[[], int],
        time_attribute: str = "updatedAt",
    ) -> None:
        self.region = region
        self.records = 0
        self.ends: dict[int, int] = {}
        """The offset behind the last record of each partition."""
        self.moved_ms = 0
        """When the last record came."""
        self._counts = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self._codec, self._now_ms, self._time_attribute = codec, now_ms, time_attribute
        self._reader = clients.reader(**{"enable.partition.eof": False})
        self._reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(partitions)])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"probe-{region}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self._reader.close()

    def latencies(self) -> dict[float, float]:
        """From write to readable here: cumulative counts by upper bound, seconds."""
        total, buckets = 0.0, {}
        for bound, count in zip([*LATENCY_BUCKETS_S, float("inf")], list(self._counts), strict=True):
            total += count
            buckets[bound] = total
        return buckets

    def _run(self) -> None:
        while not self._stop.is_set():
            messages = self._reader.consume(BATCH, POLL_S)
            if messages:
                self.take(messages)

    def take(self, messages: list[Message]) -> None:
        """Count records; decode a sample of them."""
        now_ms = self._now_ms()
        for message in messages:
            if (error := message.error()) is not None:
                _log.debug("probe region=%s error=%s", self.region, error)  # the client goes on by itself
                continue
            self.records += 1
            self.moved_ms = now_ms
            self.ends[message.partition() or 0] = (message.offset() or 0) + 1
            if self.records % SAMPLE_EVERY == 0:
                self._measure(message.value(), now_ms)

    def _measure(self, value: bytes | None, now_ms: int) -> None:
        try:
            change = self._codec.decode(value or b"", Depth.AFTER)
        except FeedError as error:
            _log.debug("probe region=%s unreadable=%s", self.region, error)  # verify counts these
            return
        written_ms = change.after.get(self._time_attribute) if change.after else None
        if written_ms is not None:
            took_s = max(0.0, (now_ms - int(written_ms)) / 1_000)
            self._counts[bisect.bisect_left(LATENCY_BUCKETS_S, took_s)] += 1
