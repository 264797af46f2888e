"""Reads the ordinals of a copy's records: what the audit's witness sees, as ledgers of shards, one for each feed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from confluent_kafka import Message

from mirrormaker.audit.shards import Hole, ShardLedger
from mirrormaker.audit.side import Partition
from schemas.control import decode_control
from schemas.errors import ConfigError, FeedError, PoisonError
from schemas.headers import Facts, facts_of

CONTROL = ".control"
"""How the name of a feed's control topic ends."""


class OrdinalWatch:
    """The ledgers of an audit's feeds.

    A record without the headers of a change (a marker, another program's topic) has no ordinal and is none of its
    business; what it must not lose is compared with the source.

    Args:
        topics: that are audited; of feed ``orders`` ``orders`` and ``orders.control``.
        patience_ms: so long a hole may stand.
        known: what an earlier run knew, by feed.
    """

    def __init__(self, topics: tuple[str, ...], *, patience_ms: int, known: Mapping[str, dict[str, object]]) -> None:
        feeds = [topic for topic in topics if f"{topic}{CONTROL}" in topics]
        self._ledgers = {feed: ShardLedger(patience_ms=patience_ms) for feed in feeds}
        for feed, document in known.items():
            if feed in self._ledgers:
                try:
                    self._ledgers[feed].restore(document)
                except (KeyError, TypeError, ValueError) as error:
                    raise ConfigError(
                        f"The audit's state of {feed} cannot be read: {error!r}.",
                        hint="Remove the file: the audit begins anew.",
                    ) from error

    @property
    def wants_beginnings(self) -> bool:
        """It must be told where the copy's partitions begin before it can judge anything."""
        return any(ledger.judged_after_ms is None for ledger in self._ledgers.values())

    def is_feed(self, topic: str) -> bool:
        """Whether the topic's records are changes."""
        return topic in self._ledgers

    def begin(self, firsts: Mapping[Partition, Message | None], *, clock_ms: Callable[[], int]) -> None:
        """Of what was captured after the youngest of all partitions' oldest records, all is there.

        A partition that is empty now has everything from now on.
        """
        for feed, ledger in self._ledgers.items():
            mine = [first for partition, first in firsts.items() if partition.topic == feed]
            times = [self._captured_ms(first, clock_ms) for first in mine if first is not None]
            # an empty partition is either new, or all of it has expired: nobody can say
            empty = [clock_ms()] if any(first is None for first in mine) and times else []
            ledger.judged_after_ms = max([0, *times, *empty])

    def see(self, message: Message) -> None:
        """A record came to the copy."""
        topic = message.topic() or ""
        if topic in self._ledgers:
            facts = _facts(message)
            if facts is not None:
                self._ledgers[topic].see(facts.shard, facts.ordinal, facts.captured_at_ms)
        elif topic.removesuffix(CONTROL) in self._ledgers:
            value = message.value()
            try:
                self._ledgers[topic.removesuffix(CONTROL)].hear(
                    decode_control(value if isinstance(value, bytes) else b"")
                )
            except FeedError:
                return  # no control event, or of a newer version: it is compared like any record, and says nothing here

    def judge(self, now_ms: int, *, ended: bool = False) -> Iterator[tuple[str, Hole]]:
        """Holes that have stood for too long, with their feed."""
        for feed, ledger in self._ledgers.items():
            for hole in ledger.judge(now_ms, ended=ended):
                yield feed, hole

    @property
    def missing(self) -> dict[str, int]:
        """Feed → ordinals that never came."""
        return {feed: ledger.missing for feed, ledger in self._ledgers.items()}

    def forget_missing(self) -> None:
        """They are known."""
        for ledger in self._ledgers.values():
            ledger.missing = 0

    def document(self) -> dict[str, dict[str, object]]:
        """By feed, for a state file."""
        return {feed: ledger.document() for feed, ledger in self._ledgers.items()}

    @staticmethod
    def _captured_ms(first: Message, clock_ms: Callable[[], int]) -> int:
        facts = _facts(first)
        return facts.captured_at_ms if facts is not None else clock_ms()


def _facts(message: Message) -> Facts | None:
    headers = message.headers() or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    try:
        return facts_of((name, text if isinstance(text, bytes) else None) for name, text in pairs)
    except PoisonError:
        return None
