"""An audit that runs: both sides read, partition by partition compared, once or for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from connectors.telemetry import Checks
from mirrormaker.audit.comparison import Comparison, Example, Kind, Print, Tally
from mirrormaker.audit.findings import Finding, FindingLog, Untold
from mirrormaker.audit.metrics import AuditMetrics
from mirrormaker.audit.ordinals import CONTROL, OrdinalWatch
from mirrormaker.audit.side import Partition, Side, Trim
from mirrormaker.audit.state import AuditState, load_state
from schemas.errors import ConfigError, RetryableError

_log = logging.getLogger(__name__)

READ_WAIT_S = 0.2
SAVE_EVERY_MS = 5_000
IDS_EVERY_MS = 30_000
JUDGE_EVERY_MS = 1_000
SETTLE_WITHIN_S = 20.0


@dataclass(frozen=True)
class PartitionVerdict:
    """What is known of one partition."""

    partition: Partition
    tally: Tally
    lag: int
    waiting_ms: int


@dataclass(frozen=True)
class AuditVerdict:
    """What an audit found."""

    flow: str
    partitions: tuple[PartitionVerdict, ...]
    missing_ordinals: Mapping[str, int] = field(default_factory=dict)
    """Feed → ordinals of its shards that the copy never got, by the copy alone."""

    @property
    def equal(self) -> bool:
        """Every copy that was looked at is its original, and complete by its shards' ordinals."""
        return not any(one.tally.differs for one in self.partitions) and not any(self.missing_ordinals.values())

    def count(self, kind: Kind) -> int:
        """Differences of a kind, over all partitions."""
        if kind is Kind.INCOMPLETE:
            return sum(self.missing_ordinals.values())
        return sum(one.tally.counts.get(kind, 0) for one in self.partitions)

    @property
    def matched(self) -> int:
        """Records compared and found equal."""
        return sum(one.tally.matched for one in self.partitions)


@dataclass
class _Lane:
    """A partition at work."""

    comparison: Comparison
    waits_since_ms: int | None = None
    waits_for: int = -1
    stalled: bool = False


class Audit:
    """Compares the copies of some topics with their originals.

    Args:
        flow: its name in logs and metrics (``eu->us``).
        source: the original.
        copy: the copy.
        topics: which.
        now_ms: a clock that never goes back, in milliseconds.
        clock_ms: the wall clock, in milliseconds since the epoch.
        stall_after_ms: so long the oldest record may wait for its copy before that is a difference.
        state_file: where to resume; None: from the first record that both sides still hold.
        findings: who is told of each difference.
    """

    def __init__(
        self,
        flow: str,
        source: Side,
        copy: Side,
        topics: tuple[str, ...],
        *,
        now_ms: Callable[[], int],
        clock_ms: Callable[[], int],
        metrics: AuditMetrics,
        health: Checks,
        stall_after_ms: int = 60_000,
        state_file: Path | None = None,
        findings: FindingLog | None = None,
    ) -> None:
        self.flow = flow
        self._source, self._copy = source, copy
        self._topics = topics
        self._now_ms, self._clock_ms = now_ms, clock_ms
        self._metrics = metrics
        self._health = health
        self._stall_after_ms = stall_after_ms
        self._state_file = state_file
        self._state = load_state(state_file) if state_file else AuditState()
        self._findings = findings or Untold()
        self._ordinals = OrdinalWatch(topics, patience_ms=stall_after_ms, known=self._state.shards)
        copy.witness = self._ordinals.see
        self._lanes: dict[Partition, _Lane] = {}
        self._begins_anew = False
        self._lanes_read = 0
        self._saved_ms = self._asked_ms = self._judged_ms = now_ms()

    def start(self) -> None:
        """Find the partitions and begin reading, where the state left off.

        Raises:
            ConfigError: a topic is absent, or has other partitions in the copy.
        """
        counts = self._partition_counts()
        self._note_recreated()
        lanes = self._open_lanes(counts)
        for partition, lane in lanes.items():
            for kind, count in self._state.differences.pop(str(partition), {}).items():
                lane.comparison.tally.counts[Kind(kind)] = count
        if self._ordinals.wants_beginnings:
            firsts = self._copy.first_records(one for one in lanes if self._ordinals.is_feed(one.topic))
            self._ordinals.begin(firsts, clock_ms=self._clock_ms)
        self._begin(lanes)

    def _open_lanes(self, counts: Mapping[str, int]) -> dict[Partition, _Lane]:
        partitions = [Partition(topic, number) for topic, count in counts.items() for number in range(count)]
        return {partition: self._lanes.setdefault(partition, _Lane(Comparison())) for partition in partitions}

    def _begin(self, lanes: Mapping[Partition, _Lane]) -> None:
        """Read both sides of every partition from where the state has it."""
        saved = {partition: self._state.next_offsets.get(str(partition)) for partition in lanes}
        for partition, lane in lanes.items():
            older = lane.comparison.copy_is_older or str(partition) in self._state.older_copies
            lane.comparison.resume(aligned=saved[partition] is not None, copy_is_older=older)
        self._source.start({partition: offsets[0] if offsets else None for partition, offsets in saved.items()})
        self._copy.start({partition: offsets[1] if offsets else None for partition, offsets in saved.items()})
        self._begins_anew, self._lanes_read = False, len(lanes)

    def step(self) -> bool:
        """Read a little of both sides and compare; returns whether anything came.

        A cluster that is away makes health red until it is back; what was read before it went is kept.
        """
        of_source, source_trims = self._read(self._source)
        of_copy, copy_trims = self._read(self._copy)
        for trim in source_trims:
            self._trimmed(trim, copy_is_older=True)
        for trim in copy_trims:
            self._trimmed(trim, copy_is_older=False)
        for partition, lane in self._lanes.items():
            before = lane.comparison.tally.matched
            lane.comparison.add_source(of_source.get(partition, ()))
            lane.comparison.add_copy(of_copy.get(partition, ()))
            lane.comparison.compare()
            self._metrics.matched.labels(self.flow, partition.topic).inc(lane.comparison.tally.matched - before)
            self._source.hold(partition, held=lane.comparison.source_full)
            self._copy.hold(partition, held=lane.comparison.copy_full)
            self._watch(partition, lane)
        self._judge_ordinals()
        self._tell()
        self._report()
        self._keep()
        return bool(of_source or of_copy)

    def save(self) -> None:
        """Keep where to go on, now."""
        self._keep(force=True)

    def run_once(self, *, settle_ms: int) -> AuditVerdict:
        """Compare everything that the source holds now; a copy that does not move for ``settle_ms`` is behind.

        What the copy lacks then is counted as missing.
        """
        self.start()
        ends = {partition: self._source.watermarks(partition)[1] for partition in self._lanes}
        open_lanes = set(self._lanes)
        moved_ms = self._now_ms()
        while open_lanes and self._now_ms() - moved_ms <= settle_ms:
            matched = self.verdict().matched
            self.step()
            open_lanes -= {partition for partition in open_lanes if self._done(partition, ends[partition])}
            if self.verdict().matched > matched:
                moved_ms = self._now_ms()
        for partition in open_lanes:
            comparison = self._lanes[partition].comparison
            if comparison.judges_what_waits or self._never_copied(partition):
                comparison.give_up()
        self._judge_ordinals(ended=True)
        self._tell()
        self._report()
        self._keep(force=True)
        return self.verdict()

    def verdict(self) -> AuditVerdict:
        """What is known now."""
        return AuditVerdict(
            self.flow,
            tuple(
                PartitionVerdict(partition, lane.comparison.tally, lane.comparison.lag, self._waiting_ms(lane))
                for partition, lane in sorted(self._lanes.items())
            ),
            self._ordinals.missing,
        )

    def forget_differences(self) -> None:
        """What stands is known: begin to count anew. To be called before ``start``."""
        self._state.differences.clear()
        self._ordinals.forget_missing()

    def _read(self, side: Side) -> tuple[dict[Partition, list[Print]], list[Trim]]:
        check = f"mirror-audit-{self.flow}-{side.name}"
        try:
            found = side.read(READ_WAIT_S / 2)
        except RetryableError as error:
            self._health.set(check, ok=False, reason=str(error))
            return {}, []
        self._health.set(check, ok=True, reason="read")
        return found

    def _done(self, partition: Partition, end: int) -> bool:
        """All that the source held at the start was compared, and the copy was read to its end."""
        comparison = self._lanes[partition].comparison
        waiting = comparison.waiting
        compared = waiting is None or waiting.offset >= end
        return compared and self._source.has_read_to(partition, end) and self._copy.has_ended(partition)

    def _never_copied(self, partition: Partition) -> bool:
        """The copy's partition never had a record; one that had may have let all of them expire."""
        return self._copy.watermarks(partition)[1] == 0

    def _partition_counts(self) -> dict[str, int]:
        source, copy = self._source.partitions(self._topics), self._copy.partitions(self._topics)
        faults = []
        for topic in self._topics:
            if topic not in source:
                faults.append(f"There is no topic {topic} at {self._source.name}.")
            elif topic not in copy:
                faults.append(f"There is no topic {topic} at {self._copy.name}: nothing was copied.")
            elif source[topic] != copy[topic]:
                where = f"{source[topic]} partitions at {self._source.name} and {copy[topic]} at {self._copy.name}"
                faults.append(f"Topic {topic} has {where}.")
        if faults:
            raise ConfigError(faults[0], hint="feed topics apply makes them alike.", faults=tuple(faults))
        return source

    def _note_recreated(self) -> None:
        """A topic with another id than last time is another topic: its partitions begin anew, and that is told."""
        for side in (self._source, self._copy):
            for topic, identity in side.topic_ids(self._topics).items():
                key = f"{side.name}/{topic}"
                if self._state.topic_ids.get(key, identity) != identity:
                    self._recreated(topic, side)
                self._state.topic_ids[key] = identity

    def _recreated(self, topic: str, side: Side) -> None:
        _log.error("topic was made anew flow=%s topic=%s side=%s", self.flow, topic, side.name)
        counts = side.partitions([topic]).get(topic, 1)
        for number in range(counts):
            partition = Partition(topic, number)
            self._state.next_offsets.pop(str(partition), None)
            lane = self._lanes.setdefault(partition, _Lane(Comparison()))
            lane.comparison.begin_another(copy_is_older=side is self._source)
            self._begins_anew = True
            lane.comparison.tally.add(Kind.RECREATED, Example(-1, -1))

    def _trimmed(self, trim: Trim, *, copy_is_older: bool) -> None:
        comparison = self._lanes[trim.partition].comparison
        given_up = comparison.restart(copy_is_older=copy_is_older)
        count = max(1, trim.begins - trim.wanted) + given_up
        # of the copy's own log there is no source offset to name
        example = Example(trim.wanted, trim.begins - 1) if copy_is_older else Example(-1, trim.begins)
        comparison.tally.add(Kind.TRIMMED, example, count)

    def _watch(self, partition: Partition, lane: _Lane) -> None:
        """A record that waits for its copy for too long is a stall, told once until the copy moves again."""
        waiting = lane.comparison.waiting
        if waiting is None or waiting.offset != lane.waits_for:
            lane.waits_for = waiting.offset if waiting else -1
            lane.waits_since_ms = self._now_ms() if waiting else None
            lane.stalled = False
        elif not lane.stalled and self._waiting_ms(lane) > self._stall_after_ms:
            if not lane.comparison.judges_what_waits and not self._never_copied(partition):
                return
            lane.stalled = True
            lane.comparison.tally.add(Kind.STALLED, Example(waiting.offset, -1))
            _log.error("the copy stands still flow=%s partition=%s offset=%s", self.flow, partition, waiting.offset)

    def _waiting_ms(self, lane: _Lane) -> int:
        return self._now_ms() - lane.waits_since_ms if lane.waits_since_ms is not None else 0

    def _judge_ordinals(self, *, ended: bool = False) -> None:
        if not ended and self._now_ms() - self._judged_ms < JUDGE_EVERY_MS:
            return
        self._judged_ms = self._now_ms()
        for feed, hole in self._ordinals.judge(self._now_ms(), ended=ended):
            self._findings.tell(
                Finding(self.flow, feed, hole.shard, Kind.INCOMPLETE, hole.count, hole.first, hole.last)
            )

    def _tell(self) -> None:
        for partition, lane in self._lanes.items():
            for kind, span in lane.comparison.tally.take_fresh().items():
                feed = partition.topic.removesuffix(CONTROL)
                self._findings.tell(Finding(self.flow, feed, str(partition), kind, span.count, span.first, span.last))
        waits = self._findings.fault()
        self._health.set(f"mirror-audit-{self.flow}-gap-events", ok=not waits, reason=waits or "written")

    def _report(self) -> None:
        for topic in self._topics:
            lanes = [lane for partition, lane in self._lanes.items() if partition.topic == topic]
            self._metrics.lag.labels(self.flow, topic).set(sum(lane.comparison.lag for lane in lanes))
            self._metrics.age.labels(self.flow, topic).set(
                max((self._waiting_ms(lane) for lane in lanes), default=0) / 1000
            )
            for kind in Kind:
                count = sum(lane.comparison.tally.counts.get(kind, 0) for lane in lanes)
                self._metrics.differences.labels(self.flow, topic, kind).set(count)
        bad = [
            f"{partition}: {count} {kind}"
            for partition, lane in self._lanes.items()
            for kind, count in lane.comparison.tally.counts.items()
            if count and (kind is not Kind.STALLED or lane.stalled)
        ]
        for feed, missing in self._ordinals.missing.items():
            self._metrics.incomplete.labels(self.flow, feed).set(missing)
            bad += [f"{feed}: {missing} ordinals never came"] if missing else []
        self._health.set(f"mirror-audit-{self.flow}", ok=not bad, reason="; ".join(bad[:5]) or "copies are equal")

    def _keep(self, *, force: bool = False) -> None:
        now = self._now_ms()
        if self._lanes and now - self._asked_ms >= IDS_EVERY_MS:
            self._asked_ms = now
            self._look_for_other_topics()
        if self._state_file and (force or now - self._saved_ms >= SAVE_EVERY_MS):
            # a place that is kept before its gap events are written would be gone on from without them after a kill
            if not self._findings.settled(SETTLE_WITHIN_S if force else 0):
                return
            self._saved_ms = now
            self._note_positions()
            self._state.shards = self._ordinals.document()
            self._state.save(self._state_file)

    def _note_positions(self) -> None:
        """Where each partition is, and what stands, into the state."""
        for partition, lane in self._lanes.items():
            source, copy = lane.comparison.next_source_offset, lane.comparison.next_copy_offset
            if source is not None and copy is not None:
                self._state.next_offsets[str(partition)] = (source, copy)
            stands = {
                str(kind): n for kind, n in lane.comparison.tally.counts.items() if n and kind is not Kind.STALLED
            }
            self._state.differences[str(partition)] = stands
        self._state.older_copies = [str(one) for one, lane in self._lanes.items() if lane.comparison.copy_is_older]

    def _look_for_other_topics(self) -> None:
        """Topics made anew and partitions that were added; unlike topics are red until they are alike."""
        check = f"mirror-audit-{self.flow}-topics"
        try:
            counts = self._partition_counts()
            self._note_positions()
            self._note_recreated()
            lanes = self._open_lanes(counts)
            if self._begins_anew or len(lanes) > self._lanes_read:
                self._begin(lanes)
            self._health.set(check, ok=True, reason="alike")
        except ConfigError as error:
            self._health.set(check, ok=False, reason=str(error))
        except RetryableError as error:
            _log.warning("topics not asked for flow=%s reason=%s", self.flow, error)
