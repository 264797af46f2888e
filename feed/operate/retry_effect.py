"""A consumer's dead letter, given to that consumer's sink once more, in this process.

No group is joined and no offset committed, so other groups, and the running members of this one, notice nothing. What
makes that safe is what makes every repeat safe: a record sink is idempotent by the change's own key, version and event
id. A batch sink is not asked: its segments, objects and loads are chained by the offsets of an owned partition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from consumers.runtime import RecordSink, SelectiveSink
from consumers.runtime.dead_letters import CONTEXT_PREFIX
from feed.operate.letters import Stored
from schemas.change import Change
from schemas.errors import FatalError, FeedError, PoisonError, RetryableError

TRIES = 5
"""How often a record is tried while its dependency is away."""

PAUSE_S = 1.0
"""Before the second try; doubled for each further one: fifteen seconds in all."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The record as the consumer met it: its own topic, place and headers, not those of the dead letter."""

    letter: Stored

    def topic(self) -> str:
        """See :class:`consumers.runtime.contracts.Record`, as for all that follow."""
        return self._fact("topic")

    def partition(self) -> int:
        """Of the topic it came from."""
        return int(self._fact("partition"))

    def offset(self) -> int:
        """In the topic it came from."""
        return int(self._fact("offset"))

    def key(self) -> bytes | None:
        """As it was."""
        return self.letter.key

    def value(self) -> bytes | None:
        """As it was."""
        return self.letter.value

    def headers(self) -> list[tuple[str, bytes]] | None:
        """As they were."""
        return [pair for pair in self.letter.headers if not pair[0].startswith(CONTEXT_PREFIX)]

    def timestamp(self) -> tuple[int, int]:
        """The record's own, as its creation time."""
        return 1, int(self._fact("timestamp"))

    def _fact(self, name: str) -> str:
        try:
            return self.letter.texts()[CONTEXT_PREFIX + name]
        except KeyError as error:
            raise PoisonError(
                f"the dead letter at offset {self.letter.offset} does not say its {name}",
                hint="something else than a consumer of this feed wrote it",
                path="headers",
            ) from error


def retry_effect(
    letter: Stored,
    sink: RecordSink,
    *,
    decode: Callable[[bytes], Change],
    sleep: Callable[[float], None],
    tries: int = TRIES,
) -> str:
    """Make the effect durable; returns what came of it, in words.

    Raises:
        PoisonError: it still cannot work; the dead letter stays open.
        RetryableError: the dependency is away, also at the last of ``tries``; the dead letter stays open.
        FatalError: going on would break a promise.
    """
    for number in range(1, tries + 1):
        try:
            return _try(letter, sink, decode)
        except RetryableError:
            if number == tries:
                raise
            sleep(PAUSE_S * 2 ** (number - 1))
        except FeedError:
            raise
        except Exception as error:
            raise FatalError(
                f"sink {sink.name} raised an unexpected error: {error!r}",
                hint="a fault in the sink: it must tell RetryableError (a later try may work) from PoisonError",
            ) from error
    raise AssertionError("unreachable: the last try returns or raises")


def _try(letter: Stored, sink: RecordSink, decode: Callable[[bytes], Change]) -> str:
    record = Restored(letter)
    value = record.value()
    if not value:
        return "passed over: tombstone"
    if isinstance(sink, SelectiveSink) and (reason := sink.passes_over(record)) is not None:
        return f"passed over: {reason}"
    sink.handle(decode(value))
    return "handled"
