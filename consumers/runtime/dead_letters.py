"""Keeps a record that can never work: whole, with where it came from and why, in ``<group>.dead-letter``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from consumers.runtime.client import Broker
from consumers.runtime.contracts import Record
from consumers.runtime.metrics import ConsumerMetrics
from consumers.runtime.poison import PoisonWindow
from schemas.errors import PoisonError

SUFFIX = ".dead-letter"

CONTEXT_PREFIX = "__connect.errors."
"""Prefix of the context headers: Kafka Connect's names, which consoles and other tools know how to show.

Source: KIP-298, ``errors.deadletterqueue.context.headers.enable``.
"""

_MAX_MESSAGE_CHARS = 2_000
"""An error's text may quote a whole record; the record itself is kept anyway."""

_log = logging.getLogger(__name__)


def context_headers(record: Record, error: PoisonError, *, group: str, attempt: int) -> list[tuple[str, bytes]]:
    """Where the record came from and why it was refused; pure."""
    facts = {
        "topic": record.topic(),
        "partition": str(record.partition()),
        "offset": str(record.offset()),
        "timestamp": str(record.timestamp()[1]),
        "group": group,
        "exception.class.name": type(error).__name__,
        "exception.message": str(error)[:_MAX_MESSAGE_CHARS],
        "exception.path": error.path,
        "exception.hint": error.hint[:_MAX_MESSAGE_CHARS],
        "attempt": str(attempt),
    }
    return [(CONTEXT_PREFIX + name, value.encode()) for name, value in facts.items()]


class DeadLetters:
    """The dead letters of one group. Safe to call from several threads."""

    def __init__(
        self,
        broker: Broker,
        group: str,
        *,
        window: PoisonWindow,
        metrics: ConsumerMetrics,
        now_ms: Callable[[], int],
        bound_ms: int,
    ) -> None:
        self._broker = broker
        self._group = group
        self._window = window
        self._metrics = metrics
        self._now_ms = now_ms
        self._bound_s = bound_ms / 1000
        self._lock = threading.Lock()
        self.topic = group + SUFFIX

    def keep(self, record: Record, error: PoisonError, attempt: int = 1) -> None:
        """Return when the dead letter is durable. After a crash before the commit it is kept again: at least once.

        Raises:
            RetryableError: the topic did not take it for now.
            FatalError: it never will, or there is more poison than the limit allows.
        """
        # headers of an earlier dead letter would contradict those of this one
        kept = [(n, v) for n, v in record.headers() or [] if not n.startswith(CONTEXT_PREFIX)]
        headers = kept + context_headers(record, error, group=self._group, attempt=attempt)
        self._broker.append(self.topic, record.key(), record.value(), headers, self._bound_s)
        self._metrics.dead_letter(error)
        _log.warning(
            "dead letter topic=%s from=%s[%d]@%d error=%s: %s",
            self.topic, record.topic(), record.partition(), record.offset(), type(error).__name__, error,
        )  # fmt: skip
        with self._lock:
            self._window.count(self._now_ms(), records=1, poison=1)
            self._window.check(error)

    def seen(self, records: int) -> None:
        """So many records were no poison: what the share is taken of."""
        with self._lock:
            self._window.count(self._now_ms(), records=records)
