"""Which offset may be committed: pure, one tracker for one partition during one assignment."""

from __future__ import annotations

from collections import deque

from schemas.errors import FatalError


class OffsetTracker:
    """Knows the contiguous prefix of a partition whose effects are durable.

    Offsets only go forward. They need not be dense: transaction markers and aborted records leave holes, and a hole
    before a record that was handed out counts as done, since the broker will never hand anything out from it.
    """

    __slots__ = ("_finished", "_open", "_position")

    def __init__(self, start: int) -> None:
        self._position = start
        self._open: deque[int] = deque()  # taken, ascending; some of its middle may be in _finished
        self._finished: set[int] = set()

    @property
    def position(self) -> int:
        """The lowest offset that is yet to be taken or passed."""
        return self._position

    def take(self, offset: int) -> None:
        """A record with this offset is now being worked on.

        Raises:
            FatalError: the offset lies before one already taken: the client went backwards.
        """
        self._forward(offset)
        self._open.append(offset)
        self._position = offset + 1

    def finish(self, offset: int) -> None:
        """The effect of a taken record is durable, in whatever order that happens."""
        self._finished.add(offset)

    def pass_to(self, position: int) -> None:
        """Everything from the present position up to, not including, ``position`` is done or holds no record."""
        self._forward(position)
        self._position = position

    def committable(self) -> int:
        """The offset to commit: the lowest whose record is not yet durable, else the position."""
        still, done = self._open, self._finished
        while still and still[0] in done:
            done.discard(still.popleft())
        return still[0] if still else self._position

    def span(self) -> int:
        """How many offsets would be read again after a crash right now."""
        return self._position - self.committable()

    def _forward(self, offset: int) -> None:
        if offset < self._position:
            raise FatalError(
                f"offset {offset} came after {self._position - 1} in the same assignment",
                hint="the client went backwards, which it never may; restart the consumer and report this",
            )
