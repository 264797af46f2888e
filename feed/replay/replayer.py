"""One replay, from the checks to the deleted topic."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa

from connectors.aws import AwsClients
from connectors.kafka import KafkaClients
from connectors.s3 import ObjectStore
from consumers.archive import all_runs, declared_in_archive, runs_of_key
from consumers.archive.search import BESIDE_MS
from consumers.columns import Declared
from feed.replay.archived import Archived
from feed.replay.bounds import Bounds
from feed.replay.live import CLOCK_MARGIN_MS, LiveTopic, committed_of
from feed.replay.request import Range, Request
from producers.replay import (
    Asked,
    Counts,
    ReplaySettings,
    ReplayState,
    ReplayTopic,
    ReplayWriter,
    Selection,
    Sending,
    Sorter,
    gather,
    may_go_on,
    only_changes,
)
from schemas.errors import ConfigError, RetryableError
from schemas.replay import ReplayMarker

WAIT_POLL_S: Final = 2.0
WAIT_STALL_S: Final = 600.0
"""How long the group may read nothing of the replay while it is waited for."""


class Progress(Protocol):
    """Shows a person how far it is."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total`` of ``what`` (objects read, changes sent, changes read by the group)."""
        ...


def _nothing(_point: str) -> None:
    """No test watches."""


class Replayer:
    """Makes, goes on with, ends or drops the replay of one consumer.

    Args:
        request: for whom.
        settings: rate and bounds.
        progress: told how far it is.
        sleep: waits, seconds.
        at: told each named point (tests die there).
    """

    def __init__(
        self,
        request: Request,
        settings: ReplaySettings,
        *,
        progress: Progress,
        sleep: Callable[[float], None] = time.sleep,
        at: Callable[[str], None] = _nothing,
    ) -> None:
        self._request, self._settings, self._progress = request, settings, progress
        self._sleep, self._at = sleep, at
        # Arrow's own pool keeps what it once had: a hundred MB more at the same speed (measured)
        pa.set_memory_pool(pa.system_memory_pool())
        config = request.config
        self._clients = KafkaClients(config.regions[request.region].kafka, client_id=f"{config.feed}-replay")
        self._topic = ReplayTopic(self._clients, request.topic)
        self._live = LiveTopic(self._clients, config.feed)
        self._bounds = Bounds(request, self._live)

    def dry_run(self, asked: Range) -> tuple[Counts, list[str]]:
        """What would be sent, and what the archive lacks; nothing is changed anywhere."""
        found = self._bounds.bounded(asked)
        counts = Counts(len(found.live))
        missing = self._gather(self._with_epochs(found.selection), counts, None, after="")
        return counts, [*found.gaps, *missing]

    def send(self, asked: Range, *, resume: bool = False, accept_gaps: bool = False) -> ReplayState:
        """Send a replay whole, or the rest of one.

        Raises:
            ConfigError: another one is there, or the archive lacks something of the range.
            FatalError: another sender took over, or the cluster failed; what was committed stays, to be gone on with.
        """
        partitions = self._topic.partitions()
        if partitions is not None:
            state = self._topic.state(partitions)
            if state is not None:
                named = asked if asked.from_ms is not None else None
                may_go_on(state, self._asked(named) if named else None, resume=resume, consumer=self._request.consumer)
                return self._go_on(partitions)
        elif resume:
            raise ConfigError(
                f"there is no replay for {self._request.consumer} to go on with", hint="begin one with --from and --to"
            )
        return self._begin(asked, partitions, accept_gaps=accept_gaps)

    def abort(self) -> None:
        """Delete the replay's topic, however far it is."""
        if self._topic.partitions() is None:
            raise ConfigError(f"there is no replay for {self._request.consumer}", hint="nothing was changed")
        # fenced first: a sender that runs must not write into the topic's next life
        ReplayWriter.take(self._clients, self._request.topic, commit_timeout_ms=self._settings.commit_timeout_ms)
        self._topic.delete()

    def finish(self) -> ReplayState:
        """Delete the topic of a replay that is sent whole and read whole.

        Raises:
            ConfigError: there is none, or it is not there yet.
        """
        partitions = self._topic.partitions()
        state = None if partitions is None else self._topic.state(partitions)
        if partitions is None or state is None:
            raise ConfigError(f"there is no replay for {self._request.consumer}", hint="nothing was changed")
        left = sum(self._left(partitions))
        if not state.ended or left:
            what = f"is not read whole by {self._request.read_by}" if state.ended else "is not sent whole"
            raise ConfigError(
                f"the replay {state.replay} {what}",
                hint="`--wait` waits for the group; `--resume` sends the rest; `--abort` deletes it as it is",
            )
        self._topic.delete()
        return state

    def wait(self) -> ReplayState:
        """Wait until the group has read all of a replay that is sent whole, then delete its topic.

        Raises:
            RetryableError: the group has read nothing for :data:`WAIT_STALL_S`.
        """
        partitions = self._topic.partitions()
        if partitions is None:
            raise ConfigError(f"there is no replay for {self._request.consumer}", hint="begin one")
        total = sum(self._ends(partitions))
        moved, least = time.monotonic(), total + 1
        while left := sum(self._left(partitions)):
            self._progress("read by the group", total - left, total)
            if left < least:
                moved, least = time.monotonic(), left
            if time.monotonic() - moved > WAIT_STALL_S:
                raise RetryableError(
                    f"{self._request.read_by} has read nothing of {self._request.topic} for {WAIT_STALL_S:.0f} s",
                    hint="does the consumer run, and is it healthy? `feed replay --wait` goes on waiting",
                )
            self._sleep(WAIT_POLL_S)
        return self.finish()

    # -- parts --------------------------------------------------------------------------------------------------

    def _begin(self, asked: Range, existing: int | None, *, accept_gaps: bool) -> ReplayState:
        """A new replay; ``existing``: partitions of a topic that was made, into which nothing was written."""
        found = self._bounds.bounded(asked)
        selection, partitions = self._with_epochs(found.selection), len(found.live)
        if existing not in {None, partitions}:
            raise ConfigError(
                f"{self._request.topic} is there with {existing} partitions, the live topic has {partitions}",
                hint="`feed replay --abort` deletes it",
            )
        until = self._bounds.vouched(found, accept_gaps=accept_gaps)
        counts = Counts(partitions)
        with tempfile.TemporaryDirectory(prefix="feed-replay-") as folder:
            sorter = self._sorter(folder)
            gaps = [*found.gaps, *self._gather(selection, counts, sorter, after="")]
            if gaps and not accept_gaps:
                raise ConfigError(
                    gaps[0],
                    hint="nothing was sent; --accept-gaps replays what there is (`feed gaps` and `feed archive verify` "
                    "say more)",
                    faults=tuple(gaps),
                )
            if existing is None:
                self._topic.create(self._request.spec(partitions), read_by=self._request.read_by)
            replay = self._asked(Range(selection.from_ms, selection.to_ms, asked.order)).replay
            markers = tuple(
                ReplayMarker(
                    "begin", replay, selection.from_ms, selection.to_ms, asked.order or "", until[number],
                    counts.by_partition[number], epochs=() if gaps else tuple(sorted(selection.epochs)),
                )
                for number in range(partitions)
            )  # fmt: skip
            sending = self._sending(replay, [0] * partitions, sum(counts.by_partition.values()))
            # asked as the one writer: another command may have begun in the topic while this one gathered
            if (other := self._topic.state(partitions)) is not None:
                may_go_on(other, None, resume=False, consumer=self._request.consumer)
            sending.begin(markers)
            return self._send(sending, sorter, markers)

    def _go_on(self, partitions: int) -> ReplayState:
        """Take over, read where it stands, send the rest."""
        writer = self._writer
        state = self._topic.state(partitions)
        if state is None or state.ended:
            raise ConfigError("the replay ended meanwhile, or its topic was made anew", hint="look again")
        asked = state.asked(self._request.config.feed, self._request.consumer)
        counts = Counts(partitions)
        with tempfile.TemporaryDirectory(prefix="feed-replay-") as folder:
            sorter = self._sorter(folder)
            self._gather(asked.selection, counts, sorter, after=state.place)
            sending = self._sending(state.replay, list(state.counts), state.planned, writer)
            return self._send(sending, sorter, state.begin)

    def _send(self, sending: Sending, sorter: Sorter, markers: tuple[ReplayMarker, ...]) -> ReplayState:
        # a snapshot of which rows are missing must not sweep what they would have kept: known when all is gathered
        sending.send(sorter.ordered() if markers[0].epochs else only_changes(sorter.ordered()))
        sending.end(markers)
        state = self._topic.state(len(markers))
        if state is None or not state.ended or list(state.counts) != sending.counts:
            raise ConfigError(f"{self._request.topic} does not hold what was sent", hint="was it deleted meanwhile?")
        return state

    def _gather(self, selection: Selection, counts: Counts, sorter: Sorter | None, *, after: str) -> list[str]:
        store, prefix, feed = self._store, self._request.archive.sink.prefix, self._request.config.feed
        from_ms, to_ms = selection.from_ms, selection.to_ms
        runs = all_runs(store, prefix, feed, from_ms=from_ms, to_ms=to_ms)
        if selection.key is not None:  # only the objects that hold it, by the index: so nothing is proven of the others
            runs = runs_of_key(store, prefix, runs, selection.key)
        archived = Archived(store, prefix, runs, parallel=self._settings.parallel_reads)
        tables = archived.tables(lambda done: self._progress("objects read", done, len(runs)))
        gather(tables, selection, sorter, counts=counts, after=after)
        counts.repeated = archived.repeated()
        if selection.key is not None:
            return []
        around = all_runs(store, prefix, feed, from_ms=max(0, from_ms - BESIDE_MS), to_ms=to_ms + BESIDE_MS)
        return archived.gaps(self._declared, sorted(set(around) - set(runs)))

    def _sending(self, replay: str, counts: list[int], total: int, writer: ReplayWriter | None = None) -> Sending:
        return Sending(
            writer or self._writer,
            replay,
            counts,
            batch_records=self._settings.batch_records,
            rate_per_s=self._settings.rate_per_s,
            clock_s=time.monotonic,
            sleep=self._sleep,
            progress=lambda sent: self._progress("sent", sent, total),
            at=self._at,
        )

    @cached_property
    def _store(self) -> ObjectStore:
        archive = self._request.archive
        return ObjectStore(
            AwsClients(self._request.config.regions[archive.region].aws).client("s3"), archive.sink.bucket
        )

    @cached_property
    def _declared(self) -> Declared:
        """What the archived control events say."""
        return declared_in_archive(self._store, self._request.archive.sink.prefix, self._request.config.feed)

    def _with_epochs(self, selection: Selection) -> Selection:
        """With the snapshots that began in the range: a later begin would lack rows, and their end would sweep them."""
        if selection.key is not None:
            return selection
        began = self._declared.epochs.items()
        return replace(
            selection, epochs=frozenset(n for n, at_ms in began if selection.from_ms + CLOCK_MARGIN_MS <= at_ms)
        )

    @cached_property
    def _writer(self) -> ReplayWriter:
        return ReplayWriter.take(self._clients, self._request.topic, commit_timeout_ms=self._settings.commit_timeout_ms)

    def _sorter(self, folder: str) -> Sorter:
        settings = self._settings
        return Sorter(Path(folder), memory_bytes=settings.memory_bytes, spill_bytes=settings.spill_bytes)

    def _asked(self, asked: Range) -> Asked:
        key = None if asked.order is None else asked.order.encode()
        selection = Selection(asked.from_ms or 0, asked.to_ms or 0, key)
        return Asked(self._request.config.feed, self._request.consumer, selection)

    def _ends(self, partitions: int) -> list[int]:
        return self._topic.ends(partitions)

    def _left(self, partitions: int) -> list[int]:
        """What the group has yet to read of each partition."""
        read = committed_of(self._clients, self._request.read_by, self._request.topic, partitions)
        return [max(0, end - (done or 0)) for end, done in zip(self._ends(partitions), read, strict=True)]
