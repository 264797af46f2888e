"""A difference as a gap event: what the audit writes to ``<feed>.mirror-audit`` in the copy's region.

A topic of its own, beside the copy, not the control topic: that one is written at the source alone and speaks about the
source, and a region must be able to say what its copy lacks when the source is gone. The values are control events of
kind gap, so whoever reads the one reads the other.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.kafka import KafkaClients, error_of
from mirrormaker.audit.comparison import Kind
from schemas.control import ControlEvent, ControlKind, encode_control
from schemas.errors import ConfigError

_log = logging.getLogger(__name__)

MAX_WAITING = 1_000
"""Gap events that wait while the cluster is away; beyond that the oldest goes, and the log has it."""
ASK_WITHIN_S = 20.0
LOOKS, LOOK_EVERY_S = 8, 0.5


def audit_topic(feed: str) -> str:
    """Where the gap events of a feed's copy are, in the copy's region."""
    return f"{feed}.mirror-audit"


@dataclass(frozen=True)
class Finding:
    """One difference, or a stretch of them.

    Attributes:
        flow: ``eu->us``.
        feed: whose copy it is.
        place: ``topic/partition``, or the shard of ordinals that never came.
        kind: what is wrong.
        count: of how many records.
        first: source offset (or ordinal) where it begins; -1: not known.
        last: where it ends.
    """

    flow: str
    feed: str
    place: str
    kind: Kind
    count: int
    first: int
    last: int

    @property
    def key(self) -> bytes:
        """The same difference has the same key, also when an audit that was killed finds it again."""
        return f"{self.flow} {self.place} {self.kind} {self.first}".encode()

    def event(self, at_ms: int) -> ControlEvent:
        """As a gap event."""
        of = "ordinals" if self.kind is Kind.INCOMPLETE else "source offsets"
        where = f", {of} {self.first} to {self.last}" if self.first >= 0 else ""
        return ControlEvent(
            kind=ControlKind.GAP,
            feed=self.feed,
            at_ms=at_ms,
            stream=self.flow,
            shard=self.place,
            sequence=self.first if self.first >= 0 else None,
            to_sequence=self.last if self.first >= 0 else None,
            certain=self.kind is not Kind.STALLED,
            reason=f"mirror-{self.kind}: {self.count} of {self.place} in {self.flow}{where}",
        )


class FindingLog(Protocol):
    """Where findings go."""

    def tell(self, finding: Finding) -> None:
        """Keep one."""
        ...

    def fault(self) -> str:
        """Why findings wait; empty: none does."""
        ...

    def settled(self, within_s: float) -> bool:
        """All that was told is where it goes; waits for that at most so long."""
        ...


class Untold:
    """Findings are counted and shown, and written nowhere."""

    def tell(self, finding: Finding) -> None:
        """A line in the log."""
        _log.error("the copy differs flow=%s place=%s kind=%s", finding.flow, finding.place, finding.kind)

    def fault(self) -> str:
        """Nothing waits."""
        return ""

    def settled(self, within_s: float) -> bool:  # noqa: ARG002 - the protocol has it
        """Nothing goes anywhere."""
        return True


class GapWriter:
    """Writes findings as gap events, again and again until the cluster has them.

    Args:
        clients: of the copy's region.
        clock_ms: the wall clock.

    Raises:
        ConfigError: a feed's topic is not there.
        RetryableError: the cluster does not answer.
    """

    def __init__(self, clients: KafkaClients, feeds: tuple[str, ...], *, clock_ms: Callable[[], int]) -> None:
        self._producer: Producer = clients.producer()
        self._clock_ms = clock_ms
        self._waiting: deque[tuple[str, bytes, bytes]] = deque(maxlen=MAX_WAITING)
        self._why = ""
        for feed in feeds:
            if not self._is_there(audit_topic(feed)):
                raise ConfigError(
                    f"There is no topic {audit_topic(feed)} for gap events.",
                    hint="feed topics apply makes it; or --no-gaps: differences are then only metrics and health.",
                )

    def _is_there(self, topic: str) -> bool:
        """Asked some times: a topic that was just made is not known to every broker at once."""
        for _ in range(LOOKS):
            try:
                if topic in self._producer.list_topics(timeout=ASK_WITHIN_S).topics:
                    return True
            except KafkaException as error:
                raise error_of(error.args[0], f"asking for {topic}") from error
            self._producer.poll(LOOK_EVERY_S)
        return False

    def tell(self, finding: Finding) -> None:
        """Send it; it waits while the cluster is away."""
        _log.error("the copy differs key=%s count=%d", finding.key.decode(), finding.count)
        value = encode_control(finding.event(self._clock_ms()))
        self._waiting.append((audit_topic(finding.feed), finding.key, value))
        self._send()

    def fault(self) -> str:
        """Why gap events wait."""
        self._send()
        return f"{len(self._waiting)} gap events wait: {self._why}" if self._why else ""

    def settled(self, within_s: float) -> bool:
        """The cluster has acknowledged every event, or the oldest of too many went.

        Until then the audit keeps its old place: killed, it finds the same again, under the same key.
        """
        self._send()
        if within_s:
            self._producer.flush(within_s)
        return not self._waiting and not len(self._producer)

    def close(self) -> None:
        """Send what waits, within a bound."""
        self._send()
        self._producer.flush(ASK_WITHIN_S)

    def _send(self) -> None:
        self._producer.poll(0)
        while self._waiting:
            topic, key, value = self._waiting.popleft()
            self._producer.produce(topic, value, key, on_delivery=self._delivered)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        self._why = "" if error is None else error.str()
        if error is not None:
            key, value = message.key(), message.value()
            if isinstance(key, bytes) and isinstance(value, bytes):
                self._waiting.append((message.topic() or "", key, value))
