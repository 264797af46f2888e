"""A partition whose next records retention has deleted: what the replay of its group allows it to do.

The live partition stays closed until every change that it lost is behind the group. What tells is the replay's own
partition of the same number: its *end marker*, the offset that ``<group>.replay`` has committed there, and how far into
the live partition the marker vouches for. Who reads that partition of the replay does not matter, so the assignments
of live and replay need not agree:

* no replay → stop, as ever (:class:`~consumers.runtime.start.LapsedError`);
* a replay that is not read to its end marker → wait, look again, be red when nothing moves;
* read to the end, and the live partition still begins at or below what it vouches for → go on at that beginning;
* read to the end, and retention went on beyond it meanwhile → stop: another replay must follow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from consumers.runtime.client import Broker
from consumers.runtime.start import BY_REPLAY, LapsedError
from schemas.errors import ConfigError, RetryableError
from schemas.replay import ReplayMarker, marker_of

_log = logging.getLogger(__name__)


class ReplayPendingError(RetryableError):
    """The partition waits for its replay."""


@dataclass(frozen=True, slots=True)
class ReplaySeen:
    """What is seen of one partition of the replay."""

    marker: ReplayMarker | None
    """Its last record, where that is a marker."""
    end: int
    """The offset behind its last record."""
    committed: int
    """What the replay's group has committed there; 0 when nothing."""


def goes_on(seen: ReplaySeen, low: int, lapsed: LapsedError) -> bool:
    """Whether the live partition, which begins at ``low``, may go on there; False: not yet. Pure.

    Raises:
        LapsedError: the replay is read, and does not reach to where the live partition begins.
    """
    marker = seen.marker
    if marker is None or marker.kind != "end" or seen.committed < seen.end:
        return False
    if marker.until >= low:
        return True
    raise LapsedError(
        f"{lapsed}; the replay {marker.replay} has been read, and vouches for the changes below offset {marker.until} "
        "only",
        hint="`feed replay --finish`, then another `feed replay` of all orders from the same time up to now",
    )


@dataclass(slots=True)
class _Waiting:
    seen: ReplaySeen
    since_ms: int


class ReplayGate:
    """Asked for each partition that has lapsed. All calls on the loop's thread.

    Args:
        broker: the cluster.
        topic: the replay's topic; None for a sink that takes no replays.
        group: the group that reads it.
        now_ms: the clock.
        bound_s: how long one look may take.
        overdue_ms: nothing moved for so long: :attr:`overdue` tells.
        when_lapsed: what a person can do about a lapse where there is no replay.
    """

    def __init__(
        self,
        broker: Broker,
        topic: str | None,
        group: str,
        *,
        now_ms: Callable[[], int],
        bound_s: float,
        overdue_ms: int,
        when_lapsed: str = BY_REPLAY,
    ) -> None:
        self._broker = broker
        self._topic = topic
        self._group = group
        self._now_ms = now_ms
        self._bound_s = bound_s
        self._overdue_ms = overdue_ms
        self.when_lapsed = when_lapsed
        self._waiting: dict[int, _Waiting] = {}

    def check(self, number: int, low: int, lapsed: LapsedError) -> None:
        """Return when the live partition, which begins at ``low``, may go on there.

        Raises:
            ReplayPendingError: not yet; look again after ``replay_look_interval_ms``.
            RetryableError: the cluster did not answer.
            LapsedError: there is no replay, or none that reaches far enough.
        """
        seen = self._look(number)
        if seen is None or self._topic is None:
            self.forget(number)
            raise LapsedError(str(lapsed), hint=self.when_lapsed) from lapsed
        if goes_on(seen, low, lapsed):
            self.forget(number)
            _log.info("replay is read, live goes on partition=%d offset=%d topic=%s", number, low, self._topic)
            return
        waiting = self._waiting.get(number)
        if waiting is None:
            _log.warning("waits for its replay partition=%d topic=%s because=%s", number, self._topic, lapsed)
        if waiting is None or waiting.seen != seen:
            self._waiting[number] = _Waiting(seen, self._now_ms())
        raise ReplayPendingError(
            f"partition {number} waits for the end of {self._topic}", hint="`feed replay --wait` shows how far it is"
        )

    def forget(self, number: int) -> None:
        """The partition goes on, or is no longer ours."""
        self._waiting.pop(number, None)

    def overdue(self) -> dict[int, str]:
        """The partitions whose replay has not moved for long, with what to do."""
        now_ms = self._now_ms()
        return {
            number: f"waits for its replay, which has not moved for {(now_ms - waiting.since_ms) // 1000} s "
            f"(read to {waiting.seen.committed} of {waiting.seen.end}, "
            f"{'whole' if waiting.seen.marker and waiting.seen.marker.kind == 'end' else 'not sent whole'}): "
            f"`feed replay --resume`, or `feed replay --abort`; is {self._group} read?"
            for number, waiting in self._waiting.items()
            if now_ms - waiting.since_ms >= self._overdue_ms
        }

    def _look(self, number: int) -> ReplaySeen | None:
        if self._topic is None:
            return None
        try:
            self._broker.identify(self._topic, self._bound_s)
        except ConfigError:  # there is no such topic
            return None
        last = self._broker.last_record(self._topic, number, self._bound_s)
        committed = self._broker.group_offset(self._group, self._topic, number, self._bound_s)
        if last is None:
            return ReplaySeen(None, 0, committed or 0)
        return ReplaySeen(marker_of(last.headers()), last.offset() + 1, committed or 0)
