"""Watches a consumer's progress: lag in records and seconds, what is held, and whether anything still moves."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException, TopicPartition

from connectors.telemetry import Telemetry
from consumers.runtime.contracts import Record
from consumers.runtime.flow import Flow
from consumers.runtime.membership import Membership
from consumers.runtime.metrics import ConsumerMetrics
from consumers.runtime.progress import Progress, Sample, judge
from consumers.runtime.settings import RuntimeSettings

_log = logging.getLogger(__name__)

MAX_MARKS = 1_024
"""Times of records kept for one partition, one a second of their own time at most."""

MARK_EVERY_MS = 1_000


END_BOUND_S = 0.5
"""How long the end of a paused partition may be asked for; without an answer no other one is asked in that round."""


class _Watched:
    """One partition."""

    def __init__(self) -> None:
        self.end = 0
        self.samples: deque[Sample] = deque()
        self.marks: deque[tuple[int, int]] = deque()  # (offset, timestamp) of records whose effect is not durable yet


class Watch:
    """Samples on the loop's thread; a thread of its own says when the loop itself has stopped."""

    def __init__(
        self, group: str, settings: RuntimeSettings, *, metrics: ConsumerMetrics, telemetry: Telemetry
    ) -> None:
        self._group = group
        self._settings = settings
        self._metrics = metrics
        self._health = telemetry.health
        self._readiness = telemetry.readiness
        self._watched: dict[int, _Watched] = {}
        self._overdue: set[int] = set()
        self._due_ms = 0
        self._ready: bool | None = None
        self._turned = time.monotonic()
        self._hangs = ""
        self._answered = True
        """False once a question about the end of a partition had no answer in this round of samples."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch_loop, name=f"watch-{group}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=1.0)
        if error is not None:
            self._health.set(self._group, ok=False, reason=str(error))

    def fetched(self, partition: int, records: Sequence[Record]) -> None:
        """Note when the records of a batch were written, one mark a second."""
        watched = self._watched.get(partition)
        if watched is None:
            watched = self._watched[partition] = _Watched()
        first_ms = records[0].timestamp()[1]
        if len(watched.marks) < MAX_MARKS and (not watched.marks or first_ms - watched.marks[-1][1] >= MARK_EVERY_MS):
            watched.marks.append((records[0].offset(), first_ms))

    def written_at(self, partition: int) -> int | None:
        """The time of a record at or before the oldest one without durable effect; None while none was fetched."""
        watched = self._watched.get(partition)
        return watched.marks[0][1] if watched is not None and watched.marks else None

    def turned(self, now_ms: int, members: Membership, flow: Flow, paused: Mapping[int, str]) -> None:
        """The loop went around; sample when it is time."""
        self._hangs = flow.hangs()
        if not self._hangs:
            self._turned = time.monotonic()
        if members.ready != self._ready:
            self._ready = members.ready
            reason = "" if self._ready else "not every assigned partition is open yet"
            self._readiness.set(self._group, ok=self._ready, reason=reason)
        if now_ms < self._due_ms:
            return
        self._due_ms = now_ms + self._settings.sample_interval_ms
        for number in [n for n in self._watched if n not in members.assigned]:
            del self._watched[number]
            self._health.clear(self._check(number))
        overdue = members.replays.overdue()
        for number in self._overdue - overdue.keys() - members.assigned.keys():
            self._health.clear(self._check(number))
        for number, reason in overdue.items():
            self._health.set(self._check(number), ok=False, reason=reason)
        self._overdue = set(overdue)
        self._answered = True
        for number in members.assigned:
            self._sample(number, now_ms, members, flow, paused)

    def _sample(self, number: int, now_ms: int, members: Membership, flow: Flow, paused: Mapping[int, str]) -> None:
        watched = self._watched.setdefault(number, _Watched())
        durable, committed, load = flow.committable(number), members.assigned[number], flow.load(number)
        watched.end = end = self._end(number, members, watched.end, ask=number in paused)
        lag = max(0, end - durable)
        self._metrics.lag(number, lag, self._lag_ms(watched, now_ms, durable, lag) / 1000)
        self._metrics.load(number, load.records, load.payload_bytes, load.parked_keys, load.span)
        if committed is None:
            return
        set_back = members.set_back.pop(number, None)
        if set_back is not None:
            watched.samples.extend(Sample(now_ms, offset, 0) for offset in set_back)
        watched.samples.append(Sample(now_ms, committed, max(0, end - committed)))
        window_ms = self._settings.stall_after_ms
        while len(watched.samples) > 1 and watched.samples[1].at_ms <= now_ms - window_ms:
            watched.samples.popleft()
        progress = judge(watched.samples, now_ms, window_ms)
        reasons = [progress.value, paused.get(number, ""), flow.trouble(number)]
        self._health.set(
            self._check(number),
            ok=progress.healthy,
            reason="" if progress is Progress.OK else "; ".join(r for r in reasons if r),
        )

    def _end(self, number: int, members: Membership, known: int, *, ask: bool) -> int:
        """The end as the last fetch saw it, without a request; a paused partition is not fetched: there it is asked."""
        cached = not (ask and self._answered)
        partition = TopicPartition(members.topic, number)
        try:
            span = members.client.get_watermark_offsets(partition, timeout=END_BOUND_S, cached=cached)
        except KafkaException:
            self._answered = False
            return known
        return known if span is None else max(known, span[1])

    @staticmethod
    def _lag_ms(watched: _Watched, now_ms: int, durable: int, lag: int) -> int:
        """Age of the oldest record without durable effect, by the nearest mark at or before it."""
        marks = watched.marks
        while len(marks) > 1 and marks[1][0] <= durable:
            marks.popleft()
        return max(0, now_ms - marks[0][1]) if lag and marks else 0

    def _watch_loop(self) -> None:
        bound_s = self._settings.stall_after_ms / 1000
        while not self._ended.wait(min(1.0, bound_s / 4)):
            still_s = time.monotonic() - self._turned
            self._health.set(
                self._group,
                ok=still_s < bound_s,
                reason=""
                if still_s < bound_s
                else f"{Progress.STOP}: {self._hangs or f'the loop has stood still for {still_s:.0f} s'}",
            )

    def _check(self, number: int) -> str:
        return f"{self._group}[{number}]"
