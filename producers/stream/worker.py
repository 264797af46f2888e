"""A worker: one process of a feed's producer. It shares the slots with the other workers of the feed."""

from __future__ import annotations

import gc
import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from connectors.aws import AwsClients
from connectors.dynamodb_streams import CallBudget, StreamClient
from connectors.kafka import MAX_RECORD_BYTES, KafkaClients
from connectors.telemetry import Telemetry, TelemetryPart
from producers.stream.beside import BesideSlot0, MakeCompanion
from producers.stream.discovery import Discovery
from producers.stream.environment import Environment
from producers.stream.filter import filter_of
from producers.stream.health import Progress, judge
from producers.stream.kafka_group import KafkaFollower, KafkaGroup
from producers.stream.kafka_log import KafkaLog
from producers.stream.metrics import Families, Metrics
from producers.stream.owner import OwnerState, SlotOwner
from producers.stream.ports import Clock, Follower, Group, Log, Stream
from producers.stream.positions_topic import find_positions
from producers.stream.settings import ProducerSettings
from producers.stream.translate import Codec, FeedSource
from producers.stream.view import View
from schemas.errors import FatalError, RetryableError

GROUP_POLL_MS = 100
FOLLOW_POLL_MS = 500
HEALTH_EVERY_MS = 1_000
RECORD_MARGIN_BYTES = 64 * 1024
"""Room for a record's key and headers below Kafka's limit."""

_log = logging.getLogger(__name__)


def system_clock() -> Clock:
    """The machine's clocks and chance."""
    return Clock(
        now_ms=lambda: time.time_ns() // 1_000_000,
        steady_ms=lambda: time.monotonic_ns() // 1_000_000,
        random=random.random,
    )


class Worker:
    """Runs until told to stop; whatever it is made of is passed in.

    ``clock`` and ``stream`` are the machine's and DynamoDB's unless others are given. Where several feeds share a
    process, their workers share its ``families`` of metrics. A ``companion`` runs beside slot 0, where that is owned.
    """

    def __init__(
        self,
        source: FeedSource,
        settings: ProducerSettings,
        *,
        kafka: KafkaClients,
        aws: AwsClients,
        codec: Codec,
        telemetry: Telemetry | TelemetryPart,
        stop: threading.Event,
        clock: Clock | None = None,
        stream: Stream | None = None,
        families: Families | None = None,
        companion: MakeCompanion | None = None,
    ) -> None:
        self._companion = companion
        self._source, self._settings, self._codec = source, settings, codec
        self._kafka, self._telemetry, self._stop = kafka, telemetry, stop
        self._clock = clock or system_clock()
        self._metrics = Metrics(families or Families(telemetry.registry), source.feed)
        self._ended = threading.Event()
        self._budget = CallBudget(
            settings.describe_calls_per_second,
            now_ms=self._clock.now_ms,
            sleep_ms=self._sleep_ms,
            random=self._clock.random,
        )
        self._stream = stream or StreamClient(aws, now_ms=self._clock.now_ms, before_describe=self._before_describe)
        self._owners: dict[int, SlotOwner] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._assigned: frozenset[int] = frozenset()
        self._joined, self._progress = False, Progress()
        self._failure: FatalError | None = None
        self._started_ms = self._clock.steady_ms()

    def run_forever(self) -> None:
        """Work until the stop event is set.

        Raises:
            ConfigError: table, stream or topics are not as they must be.
            FatalError: going on would break a promise; positions are as they were.
        """
        _calm_the_collector()
        self._telemetry.readiness.set("slots", ok=False, reason="no slot is assigned yet")
        self._check_table()
        feed, version = self._source.feed, find_positions(self._kafka, self._source.feed).version
        log = KafkaLog(self._kafka, feed, self._settings, version=version)
        view = View(log.slots())
        follower = KafkaFollower(self._kafka, feed, view.slots, version=version)
        group = KafkaGroup(self._kafka, feed, self._settings, version=version)
        discovery = Discovery(self._source.table, self._stream, view, self._settings, self._clock)
        pool = ThreadPoolExecutor(self._settings.fetch_threads, thread_name_prefix="fetch")
        environment = self._environment(view, _ThreadPool(pool))
        ended = self._ended
        helpers = [
            self._start("follower", lambda: _follow(follower, view, ended), ended),
            self._start("discovery", lambda: _discover(discovery, view, ended), ended),
        ]
        _log.info("worker started feed=%s table=%s slots=%d", self._source.feed, self._source.table, view.slots)
        try:
            self._serve(group, log, environment, discovery)
        finally:
            self._shut_down(group, follower, pool, helpers)
        if self._failure is not None:
            raise self._failure

    def _check_table(self) -> None:
        """A table that cannot work is told at once, by a sentence; discovery asks a busy service again."""
        try:
            self._stream.status(self._source.table)
        except RetryableError as error:
            _log.warning("table not described yet table=%s error=%s", self._source.table, error)

    def _environment(self, view: View, pool: _ThreadPool) -> Environment:
        return Environment(
            source=self._source,
            settings=self._settings,
            codec=self._codec,
            stream=self._stream,
            pool=pool,
            clock=self._clock,
            view=view,
            metrics=self._metrics,
            record_max_bytes=MAX_RECORD_BYTES - RECORD_MARGIN_BYTES,
            drops=filter_of(self._settings.filter, region_attribute=self._source.region_attribute),
        )

    def _sleep_ms(self, ms: int) -> None:
        self._ended.wait(ms / 1_000)  # a worker that stops waits for no budget

    def _before_describe(self) -> None:
        self._budget.take()
        self._metrics.described()

    def _serve(self, group: Group, log: Log, environment: Environment, discovery: Discovery) -> None:
        beside = BesideSlot0(self._companion, environment.view, self._fail) if self._companion else None
        judged_ms = 0
        while not self._stop.is_set() and self._failure is None:
            for event in group.poll(GROUP_POLL_MS):
                now_assigned = self._assigned | set(event.slots) if event.given else self._assigned - set(event.slots)
                self._assigned, self._joined = frozenset(now_assigned), True
                self._budget.assign(self._assigned, environment.view.slots)
                environment.view.own(self._assigned)
                said = "given" if event.given else "taken away"
                _log.info("slots %s feed=%s slots=%s", said, self._source.feed, sorted(event.slots))
            self._match(log, environment)
            if beside is not None:
                beside.match(owned=0 in self._assigned)
            now = self._clock.steady_ms()
            if now - judged_ms >= HEALTH_EVERY_MS:
                judged_ms = now
                judge(
                    self._telemetry,
                    environment,
                    owners=self._owners,
                    discovery=discovery,
                    started_ms=self._started_ms,
                    # a spare may be told nothing at all with KIP-848
                    joined=self._joined or now - self._started_ms >= self._settings.slot_red_after_ms,
                    progress=self._progress,
                )
        if beside is not None:
            beside.stop()

    def _fail(self, error: Exception) -> None:
        hint = "this is a bug: report it with the log's traceback"
        self._failure = self._failure or FatalError(f"what runs beside slot 0 failed: {error!r}", hint=hint)

    def _match(self, log: Log, environment: Environment) -> None:
        """Owners for what is assigned; those of what is not stop by themselves."""
        for number, owner in list(self._owners.items()):
            if owner.failure is not None:
                self._failure = owner.failure
            if number not in self._assigned:
                owner.wakeup.set()
            if not self._threads[number].is_alive():
                del self._owners[number], self._threads[number]
        for number in self._assigned - self._owners.keys():
            if self._failure is not None:
                return
            owner = SlotOwner(number, environment, log, self._is_assigned)
            self._owners[number] = owner
            self._threads[number] = self._start(f"slot-{number}", lambda owner=owner: _drive(owner), None)  # type: ignore[misc]  # a default argument binds the owner

    def _is_assigned(self, number: int) -> bool:
        return number in self._assigned

    def _start(self, name: str, run: Callable[[], None], ended: threading.Event | None) -> threading.Thread:
        def guarded() -> None:
            try:
                run()
            except FatalError as error:
                self._failure = self._failure or error
            except Exception as error:  # noqa: BLE001 (a thread that dies unseen is the failure we fear most)
                _log.exception("thread failed name=%s", name)
                self._failure = self._failure or FatalError(
                    f"the thread {name} failed: {error!r}", hint="this is a bug: report it with the log's traceback"
                )
            finally:
                if ended is not None and not ended.is_set():
                    _log.debug("thread ended name=%s", name)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _shut_down(
        self,
        group: Group,
        follower: Follower,
        pool: ThreadPoolExecutor,
        helpers: list[threading.Thread],
    ) -> None:
        """Slots first (they abort what is open), then the group, so that others take over at once."""
        self._assigned = frozenset()
        for owner in self._owners.values():
            owner.wakeup.set()
        deadline = time.monotonic() + self._settings.stop_timeout_ms / 1_000
        for number, thread in self._threads.items():
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                _log.warning("slot did not stop in time slot=%d", number)
        group.close()
        self._ended.set()
        for thread in helpers:
            thread.join(2.0)
        follower.close()
        pool.shutdown(wait=False, cancel_futures=True)
        _log.info("worker stopped feed=%s", self._source.feed)


class _ThreadPool:
    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._executor = executor

    def submit(self, job: Callable[[], None]) -> None:
        self._executor.submit(job)


def _calm_the_collector() -> None:
    """Let the garbage collector look less often.

    A page of a thousand records is some thirty thousand objects without cycles; looking for cycles among them at every
    700 allocations costs a third of the whole work (measured).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


def _drive(owner: SlotOwner) -> None:
    while owner.state is not OwnerState.STOPPED:
        wait_ms = owner.step()
        if wait_ms > 0:
            owner.wakeup.wait(wait_ms / 1_000)
        owner.wakeup.clear()


def _follow(follower: Follower, view: View, ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            if entries := follower.poll(FOLLOW_POLL_MS):
                view.follow(entries)
        except RetryableError as error:
            _log.warning("following again error=%s", error)
            ended.wait(1.0)


def _discover(discovery: Discovery, view: View, ended: threading.Event) -> None:
    woken = threading.Event()
    view.on_change(woken.set)
    while not ended.is_set():
        woken.clear()
        wait_ms = discovery.step()
        if not view.ended:
            woken.wait(min(wait_ms, 1_000) / 1_000)
