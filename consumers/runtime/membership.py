"""Membership of a group: who has which partition, from where it is read, what is committed.

Callbacks run inside the client's ``poll``, on the loop's own thread, and never raise: an exception there would make the
client drop the record that it was about to hand out. *Assigned* only notes the partitions; the loop opens them, with
retries, before a single record of them is fetched. *Revoked* settles within a budget, commits, lets go. *Lost* lets go.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from connectors.kafka import error_of
from consumers.runtime.backoff import Backoff
from consumers.runtime.client import GroupClient, TopicIdentity
from consumers.runtime.contracts import Partition
from consumers.runtime.flow import Flow, SinkHangsError
from consumers.runtime.replay_gate import ReplayGate, ReplayPendingError
from consumers.runtime.start import LapsedError, Start, check_range, start_of
from consumers.runtime.wiring import Wiring
from schemas.errors import FatalError, RetryableError
from schemas.replay import commit_note

COMMIT_BOUND_MS = 30_000
"""An asynchronous commit without an answer for so long is given up and made again."""

LEAVE_BOUND_S = 5.0
"""How long Kafka may take to answer a member that leaves: for its last commit, and again for its good-bye. Past it the
member is gone without: others wait for its session's end, and read again what was not committed."""

_log = logging.getLogger(__name__)


class _Opening:
    """A partition that the group gave us and that is not fetched yet."""

    def __init__(self) -> None:
        self.due_ms = 0
        self.attempt = 0


class Membership:
    """The client of a group and the state of its assignment."""

    client: GroupClient
    """The member; there is one from :meth:`join` on."""
    _identity: TopicIdentity

    def __init__(self, wiring: Wiring, *, flow: Flow, replays: ReplayGate) -> None:
        settings = wiring.settings
        self.topic = wiring.topic
        self.replays = replays
        self._group = wiring.group
        self._broker = wiring.broker
        self._flow = flow
        self._settings = settings
        self._metrics = wiring.metrics
        self._now_ms = wiring.now_ms
        self._random = wiring.random
        self._backoff = Backoff(settings.retry_base_ms, settings.retry_cap_ms)
        self._opening: dict[int, _Opening] = {}
        self._posted: list[BaseException] = []
        self._commit_asked_ms: int | None = None
        self._unanswered = 0
        """Asynchronous commits whose callback is to come."""
        self._commit_due_ms = 0
        self._abandoned = False
        self._joined = False
        self._open_client = False
        self.written_at: Callable[[int], int | None] = lambda _number: None
        """When the records about a partition's committed offset were written; noted with each commit."""
        self._reached: dict[int, int] = {}
        self.set_back: dict[int, tuple[int, int]] = {}
        """Partitions that came back with a lower commit than the highest this member has seen: (highest, found)."""
        self.assigned: dict[int, int | None] = {}
        """Partitions that are fetched, with the group's committed offset as far as it is known."""

    @property
    def ready(self) -> bool:
        """True once the group has spoken and everything it gave us is fetched."""
        return self._joined and not self._opening

    def join(self, identity: TopicIdentity) -> None:
        """Become a member; assignments come with the polls that follow."""
        self._identity = identity
        self.client = self._broker.join(self._group, self._on_commit)
        self._open_client = True
        self.client.subscribe([self.topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def leave(self) -> None:
        """Settle, commit, leave the group."""
        leaving = list(self.assigned)
        try:
            self._flow.settle(leaving, self._settings.revoke_budget_ms)
            last = self._uncommitted(leaving)
        finally:
            self._let_go([*leaving, *self._opening], commit=False)
        self._commit_within(last, LEAVE_BOUND_S)
        self._close()
        self._raise_posted()

    def abandon(self) -> None:
        """Leave without committing anything (fatal)."""
        self._abandoned = True
        self._flow.forget(list(self.assigned))
        self.assigned.clear()
        self._close()

    def _close(self) -> None:
        if self._open_client:
            self._open_client = False
            # by a thread that nobody waits for: a cluster that hangs would hold it for minutes
            closing = threading.Thread(target=self._close_client, name=f"leave-{self._group}", daemon=True)
            closing.start()
            closing.join(LEAVE_BOUND_S)
            if closing.is_alive():
                _log.warning("left without a word, Kafka does not answer group=%s", self._group)

    def _close_client(self) -> None:
        try:
            self.client.close()
        except Exception as error:  # noqa: BLE001 (a thread's error has no caller: it is raised with the posted ones)
            self._posted.append(error)

    def next_open_ms(self) -> int:
        """How long until a partition is to be opened; a long time when none is."""
        now_ms = self._now_ms()
        return min((max(0, o.due_ms - now_ms) for o in self._opening.values()), default=COMMIT_BOUND_MS)

    def open_assigned(self) -> None:
        """Open the partitions that callbacks noted. Raises what a callback could not.

        Raises:
            FatalError: a committed offset is out of range, or a sink refuses to open.
        """
        self._raise_posted()
        now_ms = self._now_ms()
        due = [number for number, opening in self._opening.items() if opening.due_ms <= now_ms]
        if not due or self._flow.hangs():
            return
        bound_s = self._settings.assignment_bound_ms / 1000
        try:
            committed = self.client.committed(self._at(due), timeout=bound_s)
        except KafkaException as error:
            self._later(due, self._retryable(error, "reading committed offsets"))
            return
        for found in committed:
            if found.partition not in self._opening:  # revoked meanwhile
                continue
            try:
                if found.error is not None:  # it stands in place of an offset, which would look like a new group
                    raise self._retryable(KafkaException(found.error), "reading a committed offset")
                self._open(found.partition, None if found.offset < 0 else found.offset, bound_s)
            except SinkHangsError:
                return  # as soon as it answers
            except ReplayPendingError:
                self._opening[found.partition].due_ms = self._now_ms() + self._settings.replay_look_interval_ms
            except RetryableError as error:
                self._later([found.partition], error)
            except KafkaException as error:
                self._later([found.partition], self._retryable(error, "reading the range of a partition"))

    def commit_due(self) -> None:
        """Commit what has become durable, asynchronously, at the set interval."""
        now_ms = self._now_ms()
        if now_ms < self._commit_due_ms:
            return
        if self._commit_asked_ms is not None and now_ms - self._commit_asked_ms < COMMIT_BOUND_MS:
            return
        self._commit_due_ms = now_ms + self._settings.commit_interval_ms
        offsets = self._uncommitted(self.assigned)
        if not offsets:
            return
        try:
            self.client.commit(offsets=offsets, asynchronous=True)
            self._commit_asked_ms = now_ms
            self._unanswered += 1
        except KafkaException as error:
            self._commit_failed(error.args[0])

    # -- callbacks: they never raise ----------------------------------------------------------------------------

    def _on_assign(self, client: GroupClient, partitions: list[TopicPartition]) -> None:
        try:
            self._joined = True
            # an empty list acknowledges the assignment; the partitions follow when they are opened
            client.incremental_assign([])
            for partition in partitions:
                self._opening[partition.partition] = _Opening()
            self._metrics.rebalance("assigned", len(partitions))
            _log.info("assigned group=%s partitions=%s", self._group, [p.partition for p in partitions])
        except BaseException as error:  # noqa: BLE001 (never raise in a callback; the loop raises it)
            self._posted.append(error)

    def _on_revoke(self, client: GroupClient, partitions: list[TopicPartition]) -> None:
        self._gone(client, partitions, "revoked")

    def _on_lost(self, client: GroupClient, partitions: list[TopicPartition]) -> None:
        self._gone(client, partitions, "lost")

    def _gone(self, client: GroupClient, partitions: list[TopicPartition], kind: str) -> None:
        try:
            numbers = [p.partition for p in partitions]
            fetched = [number for number in numbers if number in self.assigned]
            try:
                self._let_go(numbers, commit=kind == "revoked" and not self._abandoned)
            finally:
                client.incremental_unassign(self._at(fetched))
            self._metrics.rebalance(kind, len(partitions))
            _log.info("%s group=%s partitions=%s", kind, self._group, numbers)
        except BaseException as error:  # noqa: BLE001 (as above)
            self._posted.append(error)

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        try:
            self._commit_asked_ms = None
            self._unanswered -= 1
            if error is not None:
                self._commit_failed(error)
                return
            for partition in partitions:
                if partition.error is not None:
                    self._commit_failed(partition.error)
                elif partition.partition in self.assigned and partition.offset >= 0:
                    self._is_committed(partition.partition, partition.offset)
            self._metrics.commit("acknowledged")
        except BaseException as unexpected:  # noqa: BLE001 (as above)
            self._posted.append(unexpected)

    # -- parts --------------------------------------------------------------------------------------------------

    def _open(self, number: int, committed: int | None, bound_s: float) -> None:
        topic = self.topic
        name = f"{topic}[{number}]"
        span = self.client.get_watermark_offsets(TopicPartition(topic, number), timeout=bound_s)
        if span is None:
            raise RetryableError(f"the range of {name} is unknown", hint="the leader of the partition may be moving")
        partition = Partition(self._identity.cluster_id, self._identity.topic_id, topic, number)
        start = start_of(name, committed, *span)
        offset = self._flow.open(partition, start.offset)
        try:
            check_range(name, offset, *span)
        except FatalError as refused:
            self._flow.forget([number])
            if not isinstance(refused, LapsedError):
                raise
            self.replays.check(number, span[0], refused)
            start = Start(span[0], commit=True)
            offset = self._flow.open(partition, start.offset)
        try:
            check_range(name, offset, *span)
            self.client.incremental_assign([TopicPartition(topic, number, offset)])
            # librdkafka remembers a pause over an assignment's end: it would never be fetched again
            self.client.resume(self._at([number]))
        except BaseException:
            self._flow.forget([number])
            raise
        self._compare(number, start.offset)
        self.assigned[number] = None if start.commit else start.offset
        del self._opening[number]
        if start.commit:
            self._commit_now([TopicPartition(topic, number, start.offset)])

    def _compare(self, number: int, found: int) -> None:
        """Whether the group was set back while the partition was another's, or nobody's."""
        reached = self._reached.get(number, found)
        self._reached[number] = found
        if found < reached:
            self.set_back[number] = (reached, found)
            _log.warning("group was set back group=%s partition=%d from=%d to=%d", self._group, number, reached, found)

    def _let_go(self, numbers: Collection[int], *, commit: bool) -> None:
        for number in numbers:
            self._opening.pop(number, None)
            self.replays.forget(number)
        fetched = [number for number in numbers if number in self.assigned]
        try:
            if commit and fetched:
                self._flow.settle(fetched, self._settings.revoke_budget_ms)
                self._commit_now(self._uncommitted(fetched))
        finally:
            self._flow.forget(numbers)  # also those whose opening hangs
            for number in fetched:
                del self.assigned[number]
                self._metrics.forget(number)

    def _uncommitted(self, numbers: Collection[int]) -> list[TopicPartition]:
        offsets = []
        for number in numbers:
            offset, committed = self._flow.committable(number), self.assigned[number]
            if committed is None or offset > committed:
                at_ms = self.written_at(number)
                # a replay that must fill what retention took from this group begins before that time
                note = "" if at_ms is None else commit_note(at_ms)
                offsets.append(TopicPartition(self.topic, number, offset, note))
        return offsets

    def _commit_now(self, offsets: list[TopicPartition]) -> None:
        """Synchronously; a refusal only means that the next owner sees some records again."""
        if not offsets:
            return
        try:
            answers = self.client.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            self._commit_failed(error.args[0])
            return
        for answer in answers:
            if answer.error is not None:
                self._commit_failed(answer.error)
            else:
                self._is_committed(answer.partition, answer.offset)

    def _commit_within(self, offsets: list[TopicPartition], bound_s: float) -> None:
        """As the last thing before leaving: nothing is assigned any more, and what polls bring is not looked at."""
        if not offsets:
            return
        until_s = time.monotonic() + bound_s
        try:
            self.client.commit(offsets=offsets, asynchronous=True)
            self._unanswered += 1
            while self._unanswered > 0 and time.monotonic() < until_s:
                self.client.poll(0.05)
        except KafkaException as error:
            self._commit_failed(error.args[0])

    def _is_committed(self, number: int, offset: int) -> None:
        self.assigned[number] = max(offset, self.assigned[number] or 0)
        self._reached[number] = max(offset, self._reached.get(number, 0))
        self._metrics.committed(number, offset)

    def _commit_failed(self, error: KafkaError) -> None:
        self._metrics.commit("refused")
        _log.warning("commit refused group=%s error=%s: %s", self._group, error.name(), error.str())

    def _later(self, numbers: Collection[int], error: RetryableError) -> None:
        for number in numbers:
            opening = self._opening[number]
            opening.attempt += 1
            opening.due_ms = self._now_ms() + self._backoff.delay_ms(opening.attempt, self._random)
        self._metrics.retry(error)
        _log.warning("not opened yet group=%s partitions=%s error=%s", self._group, numbers, error)

    def _retryable(self, error: KafkaException, doing: str) -> RetryableError:
        """What the cluster refused for now; anything else is raised.

        Raises:
            FatalError: it refuses for good.
        """
        judged = error_of(error.args[0], doing)
        if isinstance(judged, RetryableError):
            return judged
        raise judged from error

    def _raise_posted(self) -> None:
        if self._posted:
            raise self._posted.pop(0)

    def _at(self, numbers: Collection[int]) -> list[TopicPartition]:
        return [TopicPartition(self.topic, number) for number in numbers]
