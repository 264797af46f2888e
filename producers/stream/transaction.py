"""One batch of a slot: what it publishes, and what will be true once it is committed."""

from __future__ import annotations

from connectors.dynamodb_streams import Page
from producers.stream.batch import PageContext, compose
from producers.stream.environment import Environment
from producers.stream.ports import SlotLog
from producers.stream.survey import Statement
from producers.stream.translate import Translate, written_at_ms_of
from schemas.control import ControlEvent, ControlKind, encode_control
from schemas.position import BASELINE_KEY, SLOT_KEY, Baseline, Position, SlotRecord

SAMPLES_PER_PAGE = 50


class Transaction:
    """Publishes into the open transaction of a slot's log, and remembers what follows from its commit."""

    def __init__(self, slot: int, environment: Environment, log: SlotLog, epoch: int) -> None:
        self._slot, self._env, self._log, self._epoch = slot, environment, log, epoch
        feed = environment.source.feed
        self._changes, self._control = feed, f"{feed}.control"
        self._positions, self._dead = f"{feed}.positions", f"{feed}.dead-letter"
        self._started_ms = environment.clock.steady_ms()
        self.positions: dict[str, Position] = {}
        self.retired: list[str] = []
        self.baseline: Baseline | None = None
        self.record: SlotRecord | None = None
        self.fatal = ""
        self.records = 0
        self.bytes = 0
        self.dead = 0
        self.gaps = 0
        self.written_at_ms: list[int] = []
        """Times of writes, as the items name them: of all records of a small page, of a sample of a large one."""

    @property
    def full(self) -> bool:
        """Whether it is to be committed, by records, bytes or time."""
        settings = self._env.settings
        return (
            self.records >= settings.batch_max_records
            or self.bytes >= settings.batch_max_bytes
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
            self.record = statement.record
            self._put(SLOT_KEY, statement.record.to_json())
        self.fatal = self.fatal or statement.fatal

    def add(self, page: Page, at_ms: int, position: Position, translate: Translate) -> None:
        """Add a page of the shard at ``position``, read at ``at_ms``."""
        env = self._env
        context = PageContext(
            feed=self._changes,
            slot=self._slot,
            epoch=self._epoch,
            captured_at_ms=at_ms,
            codec=env.codec,
            translate=translate,
            record_max_bytes=env.record_max_bytes,
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
        self.records += len(content.changes)
        self.dead += len(content.dead)
        self.bytes += page.bytes
        self._sample(page)

    def save_positions(self) -> None:
        """Add the positions that all of it reaches, each once."""
        for position in self.positions.values():
            self._put(position.key, position.to_json())

    def _tell(self, event: ControlEvent) -> None:
        key = (event.shard or f"slot-{self._slot}").encode()
        self._log.publish(self._control, key, encode_control(event), [], event.at_ms)
        self.gaps += event.kind is ControlKind.GAP

    def _put(self, key: bytes, value: bytes | None) -> None:
        self._log.publish(self._positions, key, value, [], self._env.clock.now_ms(), partition=self._slot)

    def _sample(self, page: Page) -> None:
        attribute = self._env.source.time_attribute
        if attribute is None:
            return
        for record in page.records[:: max(1, len(page.records) // SAMPLES_PER_PAGE)]:
            if (at_ms := written_at_ms_of(record, attribute)) is not None:
                self.written_at_ms.append(at_ms)
