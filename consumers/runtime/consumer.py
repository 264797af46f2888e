"""The loop: one thread that owns the client of a group and drives one sink."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Sequence

from confluent_kafka import KafkaError, TopicPartition

from connectors.telemetry import Telemetry
from consumers.runtime.backoff import Backoff
from consumers.runtime.client import TopicIdentity
from consumers.runtime.contracts import Fetched, Record
from consumers.runtime.flow import Flow
from consumers.runtime.membership import Membership
from consumers.runtime.pressure import Limits
from consumers.runtime.replay_gate import ReplayGate
from consumers.runtime.watch import Watch
from consumers.runtime.wiring import Wiring
from schemas.errors import FatalError, RetryableError

_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
_NO_OFFSET = KafkaError._AUTO_OFFSET_RESET  # noqa: SLF001 (as above)

_log = logging.getLogger(__name__)


class Consumer:
    """A member of a consumer group with one sink. Build it with :func:`consumers.runtime.build.consumer`."""

    def __init__(
        self, wiring: Wiring, *, flow: Flow, replays: ReplayGate, telemetry: Telemetry, stop: threading.Event
    ) -> None:
        settings = wiring.settings
        self._topic = wiring.topic
        self._group = wiring.group
        self._broker = wiring.broker
        self._settings = settings
        self._metrics = wiring.metrics
        self._now_ms = wiring.now_ms
        self._random = wiring.random
        self._flow = flow
        self._stop = stop
        self._when_lapsed = replays.when_lapsed
        self._members = Membership(wiring, flow=flow, replays=replays)
        self._watch = Watch(wiring.group, settings, metrics=wiring.metrics, telemetry=telemetry)
        self._members.written_at = self._watch.written_at
        self._limits = Limits(
            records=settings.max_held_records,
            payload_bytes=settings.max_held_bytes,
            parked_keys=settings.max_parked_keys,
            span=settings.max_uncommitted_span,
        )
        self._paused: dict[int, str] = {}
        self._kafka_trouble = ""

    def run_forever(self) -> None:
        """Run until the stop event is set; then finish what is in flight, commit, leave the group.

        Raises:
            FatalError: going on would break a promise; nothing more was committed.
        """
        identity = self._identify()
        if identity is None:
            return
        _log.info("consumer starts group=%s topic=%s topic_id=%s", self._group, self._topic, identity.topic_id)
        try:
            with self._watch:
                self._members.join(identity)
                while not self._stop.is_set():
                    self._turn()
                self._members.leave()
        except BaseException as error:
            self._members.abandon()
            if isinstance(error, Exception) and not isinstance(error, FatalError):
                raise FatalError(
                    f"consumer {self._group} ended with an unexpected error: {error!r}",
                    hint="nothing more was committed; a restart goes on from the last commit",
                ) from error
            raise
        finally:
            self._flow.close()
            self._broker.close()
        _log.info("consumer stopped group=%s", self._group)

    def _identify(self) -> TopicIdentity | None:
        """Who the topic is; None when we are asked to stop before the cluster answers."""
        deadline = time.monotonic() + self._settings.startup_budget_ms / 1000
        backoff = Backoff(self._settings.retry_base_ms, 2_000)
        attempt = 0
        while not self._stop.is_set():
            attempt += 1
            try:
                return self._broker.identify(self._topic, max(1.0, deadline - time.monotonic()))
            except RetryableError as error:
                if time.monotonic() > deadline:
                    raise FatalError(
                        f"topic {self._topic} could not be looked up within "
                        f"{self._settings.startup_budget_ms / 1000:.0f} s: {error}",
                        hint=error.hint,
                    ) from error
            self._stop.wait(backoff.delay_ms(attempt, self._random) / 1000)
        return None

    def _turn(self) -> None:
        """Once around: assignments, records, work that is due, bounds, commits, samples."""
        members = self._members
        members.open_assigned()
        more_ms = self._flow.work()
        batch = self._fetch(more_ms)
        if batch:
            self._dispatch(batch)
        self._hold_bounds()
        members.commit_due()
        self._watch.turned(self._now_ms(), members, self._flow, self._paused)

    def _fetch(self, more_ms: int | None) -> Sequence[Fetched]:
        """What is there already, else wait for one record; ``consume`` itself would wait for the whole number."""
        client = self._members.client
        if self._flow.hangs():  # only stay a member; what comes with it waits
            held = client.poll(0.0)
            return () if held is None else (held,)
        batch = client.consume(self._settings.fetch_records, 0.0)
        if batch:
            return batch
        wait_ms = min(self._settings.poll_interval_ms, self._members.next_open_ms())
        # work that is overdue gives less than nothing, and the client takes a negative wait for "until a record comes"
        first = client.poll(max(0, wait_ms if more_ms is None else min(wait_ms, more_ms)) / 1000)
        if first is None:
            return ()
        return [first, *client.consume(self._settings.fetch_records - 1, 0.0)]

    def _dispatch(self, batch: Sequence[Fetched]) -> None:
        by_partition: dict[int, list[Record]] = {}
        ends: list[tuple[int, int]] = []
        run_of, run = -1, list[Record]()  # records come in runs of one partition
        for record in batch:
            error = record.error()
            if error is None:
                number = record.partition()
                if number != run_of:
                    run_of, run = number, by_partition.setdefault(number, [])
                run.append(record)
            elif error.code() == _EOF:
                ends.append((record.partition(), record.offset()))
            else:
                self._judge(record, error)
        assigned = self._members.assigned
        for number, records in by_partition.items():
            if number in assigned:  # else it was taken away while the batch was put together
                self._watch.fetched(number, records)
                self._flow.accept(number, records)
        for number, position in ends:
            if number in assigned:
                self._flow.reached(number, position)
        if by_partition and self._kafka_trouble:
            _log.info("Kafka answers again group=%s", self._group)
            self._kafka_trouble = ""

    def _judge(self, event: Fetched, error: KafkaError) -> None:
        """An error of the client in place of a record."""
        if error.code() == _NO_OFFSET:
            raise FatalError(
                f"gap on {self._topic}[{event.partition()}]: the offset to read is out of range ({error.str()}); "
                "records were deleted by retention before this group read them",
                hint=self._when_lapsed,
            )
        if error.fatal():
            raise FatalError(
                f"the Kafka client of group {self._group} is broken for good: {error.name()} ({error.str()})",
                hint="another process may use the same static member id; a restart takes over",
            )
        self._metrics.kafka_error(error.name())
        if error.name() != self._kafka_trouble:  # once per change of state, not once per event
            self._kafka_trouble = error.name()
            _log.warning("Kafka trouble group=%s error=%s: %s", self._group, error.name(), error.str())

    def _hold_bounds(self) -> None:
        """Pause what holds too much or whose writer fails; resume at half, so that nothing flips to and fro."""
        pause, resume = [], []
        for number in self._members.assigned:
            load, blocked = self._flow.load(number), self._flow.blocked(number)
            if number not in self._paused:
                reason = blocked or self._limits.past(load)
                if reason is not None:
                    self._paused[number] = reason
                    pause.append(number)
            elif blocked is None and self._limits.relaxed(load):
                del self._paused[number]
                resume.append(number)
        for number in [n for n in self._paused if n not in self._members.assigned]:
            del self._paused[number]
        if pause:
            self._members.client.pause(self._at(pause))
            _log.info("paused group=%s partitions=%s reason=%s", self._group, pause, self._paused[pause[0]])
        if resume:
            self._members.client.resume(self._at(resume))
            _log.info("resumed group=%s partitions=%s", self._group, resume)
        for number in (*pause, *resume):
            self._metrics.paused(number, paused=number in self._paused)

    def _at(self, partitions: Collection[int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, number) for number in partitions]
