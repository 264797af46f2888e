"""One batch of a slot: what it publishes, and what will be true once it is committed."""

from __future__ import annotations

import logging

from connectors.dynamodb_streams import Page
from producers.stream.batch import PageContext, compose
from producers.stream.environment import Environment
from producers.stream.metrics import Batch
from producers.stream.ports import SlotLog
from producers.stream.survey import Statement
from producers.stream.translate import Translate, written_at_ms_of
from schemas.control import ControlEvent, ControlKind, encode_control
from schemas.position import BASELINE_KEY, SLOT_KEY, Baseline, Position, SlotRecord
from schemas.snapshot import GapNote, entry_json, gap_key, snapshot_topic

SAMPLES_PER_PAGE = 50

_log = logging.getLogger(__name__)


class Transaction:
    """Publishes into the open transaction of a slot's log, and remembers what follows from its commit."""

    def __init__(self, slot: int, environment: Environment, log: SlotLog, epoch: int) -> None:
        self._slot, self._env, self._log = slot, environment, log
        self.epoch = epoch
        """What the slot publishes under; raised by a record of the slot that is said."""
        feed = environment.source.feed
        self._changes, self._control = feed, f"{feed}.control"
        self._dead, self._snapshot = f"{feed}.dead-letter", snapshot_topic(feed)
        self._started_ms = environment.clock.steady_ms()
        self.positions: dict[str, Position] = {}
        self.retired: list[str] = []
        self.baseline: Baseline | None = None
        self.record: SlotRecord | None = None
        self.fatal = ""
        self.batch = Batch()
        self._gaps: list[ControlEvent] = []
        self.written_at_ms: list[int] = []
        """Times of writes, as the items name them: of all records of a small page, of a sample of a large one."""

    @property
    def full(self) -> bool:
        """Whether it is to be committed, by records, bytes or time."""
        settings = self._env.settings
        return (
            self.batch.records >= settings.batch_max_records
            or self.batch.bytes >= settings.batch_max_bytes
            or self._env.clock.steady_ms() - self._started_ms >= settings.batch_interval_ms
        )

    def say(self, statement: Statement) -> None:
        """Add what a survey found."""
        for event in statement.control:
            self._tell(event)
        if statement.position is not None:
            self.positions[statement.position.shard] = statement.position
        if statement.retired:
            self.retired.append(statement.retired)
            self._put(statement.retired.encode(), None)
        if statement.baseline is not None:
            self.baseline = statement.baseline
            self._put(BASELINE_KEY, statement.baseline.to_json())
        if statement.record is not None:
            self.record, self.epoch = statement.record, max(self.epoch, statement.record.epoch)
            self._put(SLOT_KEY, statement.record.to_json())
        self.fatal = self.fatal or statement.fatal

    def add(self, page: Page, at_ms: int, position: Position, translate: Translate, epoch: int) -> None:
        """Add a page of the shard at ``position``, read at ``at_ms``, published under ``epoch``."""
        env = self._env
        context = PageContext(
            feed=self._changes,
            slot=self._slot,
            epoch=epoch,
            captured_at_ms=at_ms,
            codec=env.codec,
            translate=translate,
            record_max_bytes=env.record_max_bytes,
            drops=env.drops,
        )
        content = compose(page, position, context)
        publish, changes = self._log.publish, self._changes
        for key, value, headers, timestamp_ms in content.changes:
            publish(changes, key, value, headers, timestamp_ms)
        for key, value, headers, timestamp_ms in content.dead:
            publish(self._dead, key, value, headers, timestamp_ms)
        for event in content.control:
            self._tell(event)
        self.positions[position.shard] = content.position
        self.batch.add_page(
            position.shard,
            records=len(content.changes),
            size=page.bytes,
            dead=len(content.dead),
            filtered=content.dropped,
        )
        self._sample(page)

    def save_positions(self) -> None:
        """Add the positions that all of it reaches, each once."""
        for position in self.positions.values():
            self._put(position.key, position.to_json())

    def log(self) -> None:
        """What it changed, once it is committed; a batch of changes alone is quiet."""
        feed, slot = self._changes, self._slot
        for gap in self._gaps:
            _log.error("gap feed=%s slot=%d shard=%s reason=%s", feed, slot, gap.shard or gap.stream, gap.reason)
        if self.batch.dead:
            _log.warning("dead letters feed=%s slot=%d records=%d", feed, slot, self.batch.dead)
        if self.baseline is not None:
            begun, held = self.baseline, self.baseline.held or "no"
            _log.info("baseline feed=%s stream=%s epoch=%d held=%s", feed, begun.stream, begun.epoch, held)

    def _tell(self, event: ControlEvent) -> None:
        key = (event.shard or f"slot-{self._slot}").encode()
        self._log.publish(self._control, key, encode_control(event), [], event.at_ms)
        if event.kind is ControlKind.GAP:
            self.batch.gaps += 1
            self._gaps.append(event)
            # whatever the policy: only a snapshot under a higher epoch than any that this slot has used covers it
            note = GapNote(max(self.epoch, event.epoch), event.at_ms)
            self._log.publish(self._snapshot, gap_key(self._slot), entry_json(note), [], event.at_ms, partition=0)

    def _put(self, key: bytes, value: bytes | None) -> None:
        self._log.save(key, value, self._env.clock.now_ms())

    def _sample(self, page: Page) -> None:
        attribute = self._env.source.time_attribute
        if attribute is None:
            return
        for record in page.records[:: max(1, len(page.records) // SAMPLES_PER_PAGE)]:
            if (at_ms := written_at_ms_of(record, attribute)) is not None:
                self.written_at_ms.append(at_ms)
