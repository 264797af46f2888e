"""A flow whose sink is called on a thread of its own, while the loop goes on polling.

A sink's call may hang: a store accepts a connection and never answers. If the loop stood in that call, it would not
hear that its partitions are taken away or that the process is to stop, and others would wait for as long as the store's
client does. So the loop only *asks*, and waits for the answer a moment at a time. While there is none:

* records that the client still hands out (one for each poll) wait in order, and are bounded as all that is held;
* what may be committed is what was durable when the last call ended: never more than is true;
* partitions that are taken away have the revoke's budget. Past it they are let go as they are. The call that hangs may
  take effect later: the next owner finds it, as after a crash. Nothing is called for those partitions afterwards but
  the writer's ``close``, and nothing is committed for them;
* nothing else is called, and no partition is opened: there is one call at a time, on one thread, in order.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from consumers.runtime.contracts import Partition, Record
from consumers.runtime.flow import Flow, SinkHangsError
from consumers.runtime.pressure import Load
from consumers.runtime.sink_thread import Calls

SETTLE_SHARE = 0.9
"""The flow's part of what is left of a revoke's budget: the rest is for its answer to arrive."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Given:
    """Something to tell the flow about a partition."""

    partition: int
    act: Callable[[], None]
    load: Load
    dropped: bool = False
    """Its partition was taken away before its turn came."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """What became of a turn of the flow."""

    more_ms: int | None
    rest: Sequence[_Given]
    """What was not told, since the turn was interrupted."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A partition when the last call ended."""

    committable: int
    load: Load
    blocked: str | None
    trouble: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call that is under way or waits for its turn."""

    what: str
    future: Future[Any]
    since_s: float
    ended: Callable[[Future[Any]], object]
    """Takes its answer, on the loop's thread."""


class AsideFlow:
    """A :class:`~consumers.runtime.flow.Flow` around one that calls its sink itself. Used by the loop's thread only."""

    def __init__(self, flow: Flow, calls: Calls, *, patience_ms: int) -> None:
        self._flow = flow
        self._calls = calls
        self._patience_s = patience_ms / 1000
        self._monotonic = calls.monotonic
        self._asked: deque[_Asked] = deque()
        self._late: list[_Given] = []
        self._telling: Sequence[_Given] = ()
        self._openings: dict[int, tuple[int, Future[int]]] = {}
        self._more_ms: int | None = None
        self._numbers: set[int] = set()
        """The flow's partitions; used by the sink's thread only."""
        self._seen: dict[int, _Seen] = {}
        """Replaced as a whole by the sink's thread at the end of each call."""
        self._hurried = False

    def open(self, partition: Partition, committed: int) -> int:
        """Open it, or take the answer of an earlier call.

        Raises:
            SinkHangsError: there is no answer yet; ask again once nothing hangs.
        """
        number = partition.number
        self._await(self._patience_s)
        if not self._asked and self._openings.get(number, (None,))[0] != committed:
            act = partial(self._open, partition, committed)
            self._openings[number] = committed, self._ask(f"open {partition.topic}[{number}]", act, self._opened)
            self._await(self._patience_s)
        if self._asked:
            raise SinkHangsError(self.hangs())
        return self._openings.pop(number)[1].result()

    def accept(self, partition: int, records: Sequence[Record]) -> None:
        """Tell the flow with its next turn."""
        load = _load_of(records) if self._asked else Load()
        self._late.append(_Given(partition, partial(self._flow.accept, partition, records), load))

    def reached(self, partition: int, position: int) -> None:
        """Tell the flow with its next turn."""
        self._late.append(_Given(partition, partial(self._flow.reached, partition, position), Load()))

    def work(self) -> int | None:
        """Give the flow its turn, unless it has not come back from the last one."""
        self._await(self._patience_s)
        if not self._asked:
            self._telling, self._late = self._late, []
            self._ask("a turn", partial(self._turn, self._telling), self._turned)
            self._await(self._patience_s)
        return 0 if self._asked else self._more_ms

    def hangs(self) -> str:
        """What the sink has not answered, and for how long; empty when it has answered everything."""
        if not self._asked:
            return ""
        asked = self._asked[0]
        return f"the sink has not answered for {self._monotonic() - asked.since_s:.0f} s ({asked.what})"

    def committable(self, partition: int) -> int:
        """What was durable when the last call ended."""
        return self._seen[partition].committable

    def load(self, partition: int) -> Load:
        """What the flow held when the last call ended, and what waits here while one hangs."""
        held = self._seen[partition].load
        if not self._asked:
            return held
        waiting = [given.load for given in (*self._telling, *self._late) if given.partition == partition]
        return Load(
            held.records + sum(load.records for load in waiting),
            held.payload_bytes + sum(load.payload_bytes for load in waiting),
            held.parked_keys,
            held.span,
        )

    def blocked(self, partition: int) -> str | None:
        """As the flow said when the last call ended."""
        return self._seen[partition].blocked

    def trouble(self, partition: int) -> str:
        """As the flow said when the last call ended, and whether one hangs."""
        return self.hangs() or self._seen[partition].trouble

    def settle(self, partitions: Collection[int], budget_ms: int) -> None:
        """Wait for the call under way, then let the flow settle, all within the budget."""
        until_s = self._monotonic() + budget_ms / 1000
        self._drop(partitions)
        self.interrupt()
        self._await(budget_ms / 1000)
        left_s = until_s - self._monotonic()
        if not self._asked and left_s > 0:
            self._ask("settle", partial(self._settle, list(partitions), int(left_s * 1000 * SETTLE_SHARE)))
            self._await(left_s)
        if self._asked:
            _log.warning("let go unsettled, %s partitions=%s", self.hangs(), list(partitions))

    def interrupt(self) -> None:
        """Whatever takes long is to come back."""
        self._hurried = True
        self._flow.interrupt()

    def forget(self, partitions: Collection[int]) -> None:
        """Tell the flow behind the call under way, which it may outlast; what that call raised is raised by a turn."""
        numbers = list(partitions)
        self._drop(numbers)
        for number in numbers:
            self._openings.pop(number, None)
        if numbers:
            self._calls.wait(self._ask("forget", partial(self._forget, numbers)), self._patience_s)

    def close(self) -> None:
        """A call that hangs is not waited for."""
        self._calls.close()
        if all(asked.future.done() for asked in self._asked):
            self._flow.close()

    # -- on the loop's thread -----------------------------------------------------------------------------------

    def _ask(
        self, what: str, act: Callable[[], Any], ended: Callable[[Future[Any]], object] = Future.result
    ) -> Future[Any]:
        future = self._calls.ask(partial(self._seen_after, act))
        self._asked.append(_Asked(what, future, self._monotonic(), ended))
        return future

    def _await(self, within_s: float) -> None:
        """Wait until every call has ended, at most so long; take the answers that are there.

        Raises:
            FatalError: a call raised it.
        """
        if self._asked:
            self._calls.wait(self._asked[-1].future, within_s)
        while self._asked and self._asked[0].future.done():
            asked = self._asked.popleft()
            asked.ended(asked.future)

    def _opened(self, future: Future[int]) -> None:
        """The next :meth:`open` of its partition takes the answer, unless that was taken away meanwhile."""
        wanted = any(future is opening for _, opening in self._openings.values())
        if not wanted and (error := future.exception()) is not None:
            _log.info("not opened, and no longer ours: %s", error)

    def _turned(self, future: Future[_Turn]) -> None:
        turn = future.result()
        self._more_ms, self._telling = turn.more_ms, ()
        self._late[:0] = [given for given in turn.rest if not given.dropped]

    def _drop(self, partitions: Collection[int]) -> None:
        """Nothing more is told of these partitions."""
        for given in (*self._telling, *self._late):
            given.dropped = given.dropped or given.partition in partitions
        self._late = [given for given in self._late if not given.dropped]

    # -- on the sink's thread -----------------------------------------------------------------------------------

    def _seen_after(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        finally:
            flow = self._flow
            self._seen = {
                n: _Seen(flow.committable(n), flow.load(n), flow.blocked(n), flow.trouble(n)) for n in self._numbers
            }

    def _open(self, partition: Partition, committed: int) -> int:
        self._forget([partition.number])  # an earlier call may have opened it elsewhere
        start = self._flow.open(partition, committed)
        self._numbers.add(partition.number)
        return start

    def _turn(self, telling: Sequence[_Given]) -> _Turn:
        for at, given in enumerate(telling):
            if self._hurried:
                return _Turn(0, telling[at:])
            if not given.dropped:
                given.act()
        return _Turn(self._flow.work(), ())

    def _settle(self, numbers: Collection[int], budget_ms: int) -> None:
        self._hurried = False
        self._flow.settle(numbers, budget_ms)

    def _forget(self, numbers: Collection[int]) -> None:
        self._hurried = False
        self._flow.forget(numbers)
        self._numbers.difference_update(numbers)


def _load_of(records: Sequence[Record]) -> Load:
    return Load(len(records), sum(len(record.key() or b"") + len(record.value() or b"") for record in records))
