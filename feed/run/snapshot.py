"""``feed snapshot``: one run of a first load or a reload, wired from the configuration."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from connectors.aws import AwsClients
from connectors.kafka import MAX_RECORD_BYTES, KafkaClients, describe_topics
from connectors.telemetry import Telemetry, TelemetryPart
from feed.config import FeedConfig
from feed.run.codec import codec_of
from feed.run.preflight import check_table, check_topics
from feed.run.source import source_of
from producers.snapshot import (
    DynamoDbTable,
    KafkaSnapshotLog,
    Parts,
    Progress,
    Resnapshot,
    RowContext,
    SnapshotRun,
    Stage,
    reason_after_gap,
)
from producers.stream import find_positions
from producers.stream.beside import Companion, MakeCompanion
from producers.stream.filter import item_filter
from producers.stream.kafka_group import KafkaFollower
from producers.stream.kafka_log import KafkaLog
from producers.stream.view import View
from producers.stream.worker import RECORD_MARGIN_BYTES, system_clock
from schemas.errors import FatalError, RetryableError
from schemas.snapshot import SnapshotState

FOLLOW_POLL_MS = 200
SAY_EVERY_S = 1.0

_log = logging.getLogger(__name__)


def row_context(config: FeedConfig) -> RowContext:
    """How the table's items become rows.

    Raises:
        ConfigError: the schema, the key, the framing and the registry do not fit together.
    """
    return RowContext(
        source=source_of(config),
        codec=codec_of(config),
        key=config.table.key,
        record_max_bytes=MAX_RECORD_BYTES - RECORD_MARGIN_BYTES,
        keep=item_filter(config.producer.filter),
    )


def parts_of(
    config: FeedConfig, kafka: KafkaClients, aws: AwsClients, *, view: View, pool: ThreadPoolExecutor
) -> Parts:
    """What a run works with; the caller has it follow the positions topic through ``view``."""
    version = find_positions(kafka, config.feed).version
    return Parts(
        settings=config.snapshot,
        log=KafkaSnapshotLog(kafka, config.feed, config.producer),
        positions=KafkaLog(kafka, config.feed, config.producer, version=version),
        view=view,
        table=DynamoDbTable(aws.client("dynamodb"), config.table.name),
        pool=_Threads(pool),
        clock=system_clock(),
        rows=row_context(config),
        partitions=describe_topics(kafka.admin(), [config.feed])[config.feed].partitions,
        run_id=uuid.uuid4().hex[:12],
    )


class _Threads:
    """The port ``Pool``."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._executor = executor

    def submit(self, job: Callable[[], None]) -> None:
        """Run it some time soon."""
        self._executor.submit(job)


def asked_by_a_person(_: SnapshotState) -> str:
    """A person's command always has a reason."""
    return "feed snapshot"


def companion_of(
    config: FeedConfig, kafka: KafkaClients, aws: AwsClients, telemetry: Telemetry | TelemetryPart
) -> MakeCompanion | None:
    """With the policy ``resnapshot``: what the worker with slot 0 runs beside it."""
    if config.producer.gap_policy != "resnapshot":
        return None

    def tell(trouble: str) -> None:
        telemetry.health.set("snapshot", ok=not trouble, reason=trouble or "runs")

    def make(view: View, wake: Callable[[], None]) -> Companion:
        pool = ThreadPoolExecutor(config.snapshot.segments, thread_name_prefix="scan")

        def run() -> SnapshotRun:
            return SnapshotRun(parts_of(config, kafka, aws, view=view, pool=pool), reason_after_gap, wake)

        after_ms = config.snapshot.takeover_after_ms
        return Resnapshot(view, system_clock(), run, takeover_after_ms=after_ms, tell=tell)

    return make


class SnapshotCommand:
    """Runs snapshots until none is under way and no gap is uncovered."""

    def __init__(self, config: FeedConfig, say: Callable[[Progress], None], stop: threading.Event) -> None:
        self._config, self._say, self._stop = config, say, stop
        self._kafka = KafkaClients(config.source.kafka, client_id=f"{config.feed}-snapshot")
        self._aws = AwsClients(config.source.aws)

    def check(self) -> int:
        """Everything is there; about how many items the table has.

        Raises:
            ConfigError: something is not.
        """
        config, feed = self._config, self._config.feed
        names = tuple(f"{feed}{part}" for part in ("", ".control", ".snapshot", ".dead-letter"))
        check_topics(config, config.table.region, self._kafka, names)
        check_table(config, self._aws)
        return DynamoDbTable(self._aws.client("dynamodb"), config.table.name).estimate()

    def run(self) -> Progress:
        """Begin a snapshot, or go on with the one that is under way; then cover the gaps that were told meanwhile.

        Raises:
            ReplacedError: another run goes on with it.
            NotAdoptedError: no producer runs, or its slots are not all assigned.
            FatalError: the table cannot be scanned.
        """
        reason_of: Callable[[SnapshotState], str] = asked_by_a_person
        failures: list[FatalError] = []
        with self._following(failures) as view, ThreadPoolExecutor(self._config.snapshot.segments) as pool:
            while True:
                run, woken = self._make(view, pool, reason_of)
                try:
                    while run.stage is not Stage.DONE and not self._stop.is_set():
                        wait_ms = run.step()
                        self._say(run.progress())
                        woken.wait(wait_ms / 1_000)
                        woken.clear()
                        if failures:
                            raise failures[0]
                finally:
                    run.stop()
                if self._stop.is_set() or not self._due_after(run, view):
                    return run.progress()
                _log.info("a gap was told meanwhile, which the snapshot does not cover: another one follows")
                reason_of = reason_after_gap

    def _make(
        self, view: View, pool: ThreadPoolExecutor, reason_of: Callable[[SnapshotState], str]
    ) -> tuple[SnapshotRun, threading.Event]:
        woken = threading.Event()
        parts = parts_of(self._config, self._kafka, self._aws, view=view, pool=pool)
        return SnapshotRun(parts, reason_of, woken.set), woken

    def _due_after(self, run: SnapshotRun, view: View) -> bool:
        epoch = run.request.epoch if run.request else 0
        return view.snapshot.gap_epoch >= epoch > 0

    @contextmanager
    def _following(self, failures: list[FatalError]) -> Iterator[View]:
        """A view that follows the positions topic on a thread of its own."""
        positions = find_positions(self._kafka, self._config.feed)
        view, ended = View(positions.slots), threading.Event()
        follower = KafkaFollower(self._kafka, self._config.feed, positions.slots, version=positions.version)

        def follow() -> None:
            while not ended.is_set():
                try:
                    if entries := follower.poll(FOLLOW_POLL_MS):
                        view.follow(entries)
                except RetryableError as error:
                    _log.warning("following again error=%s", error)
                    ended.wait(SAY_EVERY_S)
                except FatalError as error:  # the positions have moved, or something deleted records
                    failures.append(error)
                    return

        thread = threading.Thread(target=follow, name="follower", daemon=True)
        thread.start()
        try:
            yield view
        finally:
            ended.set()
            thread.join(5.0)
            follower.close()
