"""A slot at work: takes pages in, publishes them with their positions in one transaction, asks for more.

Driven by :meth:`Slot.step` on one thread; reads run beside it and only drop their answers into a queue. So a simulation
can drive it with a seed.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from connectors.dynamodb_streams import Page
from producers.stream.environment import Environment
from producers.stream.losses import concludes, first_look, still_idle, trimmed
from producers.stream.ports import BatchAbortedError, SlotLog
from producers.stream.reader import Answer, ShardReader
from producers.stream.survey import Scene, Statement, lineage_epoch, may_read, named_parents, survey
from producers.stream.transaction import Transaction
from producers.stream.translate import Translate, translator
from schemas.errors import FatalError
from schemas.position import BASELINE_KEY, SLOT_KEY, TRIMMED, Baseline, Position, SlotRecord

SURVEY_EVERY_MS = 5_000
"""A survey comes at least this often, since some of it depends on time alone."""

IDLE_STEP_MS = 1_000
"""Longest sleep between two steps."""

_log = logging.getLogger(__name__)


class Slot:
    """One slot between its take-over and its loss."""

    def __init__(
        self,
        number: int,
        environment: Environment,
        log: SlotLog,
        entries: list[tuple[bytes, bytes | None]],
        wake: Callable[[], None],
    ) -> None:
        self.number, self._env, self._log, self._wake = number, environment, log, wake
        self.positions: dict[str, Position] = {}
        self.readers: dict[str, ShardReader] = {}
        self._baseline: Baseline | None = None
        self._record: SlotRecord | None = None
        self._answers: deque[Answer] = deque()
        self._pages: deque[tuple[ShardReader, Page, int]] = deque()
        self._pages_bytes = 0
        self._named_since_ms: dict[str, int] = {}
        self._statements: list[Statement] = []
        self._from_readers: list[Statement] = []
        self._translators: dict[str, tuple[int, Translate]] = {}
        self._seen_version, self._surveyed_ms, self._dirty = -1, 0, True
        self._committed_ms = 0
        self._aborts, self._paused_until_ms = 0, 0
        self.unpublished_since_ms: int | None = None
        """Since when something waits to be published, by the steady clock."""
        for key, value in entries:
            self._restore(key, value)

    @property
    def baseline(self) -> Baseline | None:
        """The feed's baseline: slot 0 knows it first."""
        return self._baseline if self.number == 0 else self._env.view.baseline

    @property
    def epoch(self) -> int:
        """What the slot publishes under: what its own record says, however much later or earlier others are."""
        if self._record is not None:
            return self._record.epoch
        return self.baseline.epoch if self.baseline else 1

    @property
    def has_committed(self) -> bool:
        """Whether anything was committed since the take-over."""
        return self._committed_ms > 0

    def deliver(self, answer: Answer) -> None:
        """Drop an answer in; from any thread."""
        self._answers.append(answer)
        self._wake()

    def step(self) -> int:
        """Do what can be done now.

        Returns:
            Milliseconds until there is something to do, if nothing wakes it before.

        Raises:
            SlotLostError: another has the slot, or its producer is broken.
            FatalError: the worker must stop.
        """
        now = self._env.clock.steady_ms()
        self._collect()
        if now < self._paused_until_ms:
            return self._paused_until_ms - now
        self._look(now)
        # reads go on beside the publishing of what came before
        wait = self._request()
        if not self._unpublished():
            if not self._aborts:
                self.unpublished_since_ms = None
            return wait
        if self.unpublished_since_ms is None:
            self.unpublished_since_ms = now
        until_commit = self._committed_ms + self._env.settings.batch_interval_ms - now
        if until_commit > 0 and self._committed_ms and not self._hurries():
            return min(wait, until_commit)
        self._publish()
        self._collect()
        return 0 if self._unpublished() else self._request()

    def _hurries(self) -> bool:
        """A backlog is committed as fast as it is read; at the tip a batch gathers for its interval."""
        behind = any(reader.newest_ms is not None for reader, _, _ in self._pages)
        return behind or self._pages_bytes >= self._env.settings.batch_max_bytes

    def _unpublished(self) -> bool:
        return bool(self._pages or self._statements or self._from_readers)

    def _restore(self, key: bytes, value: bytes | None) -> None:
        if key == BASELINE_KEY:
            self._baseline = Baseline.from_json(value) if value else None
        elif key == SLOT_KEY:
            self._record = SlotRecord.from_json(value) if value else None
        elif value is None:
            self.positions.pop(key.decode(), None)
        else:
            position = Position.from_json(key, value)
            self.positions[position.shard] = position

    # --- pages in

    def _collect(self) -> None:
        metrics = self._env.metrics
        while self._answers:
            answer = self._answers.popleft()
            reader = self.readers.get(answer.shard)
            if reader is None:
                continue
            page = reader.take(answer)
            metrics.read(self.number, answer)
            if page is not None:
                if reader.suspicion or answer.from_horizon:
                    self._first_look(reader, answer, page)
                if page.records or reader.ended:
                    self._pages.append((reader, page, answer.at_ms))
                    self._pages_bytes += page.bytes
                if reader.ended:
                    self._env.view.shard_ended(reader.saved.stream, reader.shard)
            elif reader.refused_since_ms is not None or reader.trims:
                self._dirty = True

    def _first_look(self, reader: ShardReader, answer: Answer, page: Page) -> None:
        retention_ms, position = self._env.settings.retention_ms, self.positions[reader.shard]
        said = first_look(self._scene(), position, reader, answer, page, retention_ms=retention_ms)
        if said is not None:
            self._from_readers.append(said)

    # --- what to say, and whom to read

    def _scene(self) -> Scene:
        env, view = self._env, self._env.view
        return Scene(
            feed=env.source.feed,
            slot=self.number,
            slots=view.slots,
            now_ms=env.clock.now_ms(),
            stream=view.status.arn if view.status else "",
            baseline=self.baseline,
            own=self.positions,
            record=self._record,
            others=view.positions(),
            sightings=view.sightings,
            named_since_ms=self._named_since_ms,
            refused_since_ms={r.shard: r.refused_since_ms for r in self.readers.values() if r.refused_since_ms},
            start_latest=env.settings.start == "latest",
            fail_on_gap=env.settings.gap_policy == "fail",
            absence_min_ms=env.settings.absence_min_ms,
            refused_max_ms=env.settings.refused_max_ms,
            requested_epoch=view.snapshot.request.epoch if view.snapshot.request else 0,
        )

    def _look(self, now: int) -> None:
        version = self._env.view.version
        if version == self._seen_version and not self._dirty and now - self._surveyed_ms < SURVEY_EVERY_MS:
            return
        self._seen_version, self._surveyed_ms, self._dirty = version, now, False
        scene = self._scene()
        named = named_parents(self.positions, scene.others.values(), self._gone(), self.number, scene.slots)
        self._named_since_ms = {parent: self._named_since_ms.get(parent, scene.now_ms) for parent in named}
        readers, refresh_ms = self.readers.values(), self._env.settings.retention_ms // 8
        self._statements = [
            *survey(scene),
            *trimmed(scene, readers, self._waiting()),
            *still_idle(scene, readers, steady_ms=now, refresh_ms=refresh_ms),
        ]
        self._admit()

    def _waiting(self) -> set[str]:
        """Shards whose pages are not published yet."""
        return {reader.shard for reader, _, _ in self._pages}

    def _gone(self) -> tuple[str, ...]:
        return self.baseline.gone if self.baseline else ()

    def _admit(self) -> None:
        """Readers for the shards that may be read."""
        env, view, baseline = self._env, self._env.view, self.baseline
        records = view.records if self._record is None else {**view.records, self.number: self._record}
        for shard, position in self.positions.items():
            seen = view.sightings.get(position.stream)
            listed = seen.shards.get(shard) if seen else None
            if shard in self.readers:
                self.readers[shard].closed = listed is not None and listed.closed
            elif may_read(position, self._lookup, baseline, records, view.slots):
                _log.info(
                    "shard opened feed=%s slot=%d shard=%s after=%s",
                    env.source.feed,
                    self.number,
                    shard,
                    position.sequence,
                )
                reader = ShardReader(position, env.stream, env.settings.poll_policy(), env.clock)
                reader.closed = listed is not None and listed.closed
                reader.epoch = lineage_epoch(position, self._lookup)
                self.readers[shard] = reader
        view.idle_shards[self.number] = len(self.readers)

    def _lookup(self, shard: str) -> Position | None:
        return self.positions.get(shard) or self._env.view.position(shard)

    # --- one transaction

    def _publish(self) -> None:
        told = Transaction(self.number, self._env, self._log, self.epoch)
        waiting = self._waiting()
        ripe = [statement for statement in self._statements if not concludes(statement, waiting)]
        postponed = len(ripe) < len(self._statements)
        try:
            self._log.begin()
            # what is said about a shard comes before its pages
            for statement in self._from_readers + ripe:
                told.say(statement)
            while self._pages and not told.fatal and not told.full:
                self._add_page(told)
            told.save_positions()
            begun = self._env.clock.steady_ms()
            self._log.commit()
        except BatchAbortedError as error:
            self._rewind(error)
            return
        self._committed(told, begun)
        self._dirty = self._dirty or postponed

    def _add_page(self, told: Transaction) -> None:
        reader, page, at_ms = self._pages.popleft()
        self._pages_bytes -= page.bytes
        position = told.positions.get(reader.shard) or self.positions[reader.shard]
        epoch = max(told.epoch, reader.epoch)
        told.add(page, at_ms, position, self._translate(position, epoch), epoch)

    def _translate(self, position: Position, epoch: int) -> Translate:
        known = self._translators.get(position.shard)
        if known is None or known[0] != epoch:
            env = self._env
            made = translator(env.source, env.codec, stream=position.stream, shard=position.shard, epoch=epoch)
            known = self._translators[position.shard] = (epoch, made)
        return known[1]

    def _committed(self, told: Transaction, begun: int) -> None:
        clock = self._env.clock
        now = self._committed_ms = clock.steady_ms()
        self._aborts, self.unpublished_since_ms = 0, None
        self._from_readers.clear()
        self._statements = []
        self._baseline, self._record = told.baseline or self._baseline, told.record or self._record
        self._dirty = bool(told.retired or told.baseline or told.record)
        for shard in told.retired:
            self.positions.pop(shard, None)
        for position in told.positions.values():
            self._reached(position)
        self._env.metrics.committed(
            self.number,
            told.batch,
            commit_ms=now - begun,
            delays_ms=[clock.now_ms() - at_ms for at_ms in told.written_at_ms],
        )
        told.log()
        if told.fatal:
            raise FatalError(
                told.fatal,
                hint="look at it with `feed gaps`; start with producer.gap_policy: resnapshot to load the table anew, "
                "or continue to just go on",
            )

    def _reached(self, position: Position) -> None:
        before, reader = self.positions.get(position.shard), self.readers.get(position.shard)
        self.positions[position.shard] = position
        if before is None or before.state is not position.state or before.start != position.start:
            self._dirty = True
        if reader is None:
            return
        reader.saved = position
        if position.state.terminal:
            feed = self._env.source.feed
            _log.info("shard %s feed=%s slot=%d shard=%s", position.state, feed, self.number, position.shard)
            del self.readers[position.shard]
            self._translators.pop(position.shard, None)
            self._env.metrics.forget(position.shard)
        elif reader.trims and position.start == TRIMMED:
            reader.rewind(position)

    def _rewind(self, error: BatchAbortedError) -> None:
        """Nothing of the transaction will be seen: go back to what is saved."""
        self._aborts += 1
        feed = self._env.source.feed
        _log.warning("batch aborted feed=%s slot=%d times=%d error=%s", feed, self.number, self._aborts, error)
        self._env.metrics.aborted(self.number)
        self._pages.clear()
        self._pages_bytes = 0
        self._from_readers.clear()
        self._statements, self._dirty = [], True
        for reader in self.readers.values():
            reader.rewind(self.positions[reader.shard])
        pause = min(self._env.settings.retake_max_ms, self._env.settings.retake_min_ms << min(self._aborts - 1, 10))
        self._paused_until_ms = self._env.clock.steady_ms() + pause
        self._log.abort()

    # --- more pages

    def _request(self) -> int:
        """Ask every shard that is due, while there is room; milliseconds until the next one is."""
        settings, now = self._env.settings, self._env.clock.steady_ms()
        wait = IDLE_STEP_MS
        room = self._pages_bytes < settings.read_ahead_max_bytes
        idle_ms, idle_after = self._idle_interval_ms(), settings.poll_policy().idle_after
        for reader in self.readers.values():
            if reader.busy or reader.ended:
                continue
            due_ms = reader.due_ms
            if reader.pace.empties > idle_after and not reader.pace.errors:
                due_ms = max(due_ms, reader.answered_ms + idle_ms)
            if due_ms > now:
                wait = min(wait, due_ms - now)
            elif room:
                self._env.pool.submit(reader.job(self.deliver))
        return wait

    def _idle_interval_ms(self) -> int:
        shards = sum(self._env.view.idle_shards.values())
        return shards * 1_000 // self._env.settings.idle_calls_per_second

    def stop(self) -> None:
        """Leave what is under way; nothing of it is saved."""
        self._env.view.idle_shards.pop(self.number, None)
        for shard in self.readers:
            self._env.metrics.forget(shard)
