"""What the live topics say: how far the archive reaches, and for which live offsets a replay vouches.

A replay of everything from one time up to ``to`` vouches for the live offsets below U when no record below U can be
missing from the archive's part of that range. The ends of the live topic are taken first; then the archive is asked,
and must have stored everything up to ``to``. U is the first offset of a record that is not older than ``to`` (by
arrival in a mirror's target, by event time at the source), less a margin for clocks, and at most the end taken first.
At the source the first record that is not archived is not older than ``to``, so U lies at or below it. A copy is below
U only when it arrived, and so its original, before ``to`` and before the archive was asked: which had it then.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaException, TopicPartition

from connectors.kafka import KafkaClients, describe_topics, error_of, first_record, group_offsets, watermarks
from schemas.errors import ConfigError
from schemas.replay import noted_ms

ANSWER_BOUND_S: Final = 20.0

CLOCK_MARGIN_MS: Final = 5_000
"""Clocks of brokers, of DynamoDB and of this machine differ by less."""


BEGIN_MARGIN_MS: Final = 3_600_000
"""How much older than its arrival in a region a change may be (a mirror that lagged), and still be in the replay."""


@dataclass(frozen=True, slots=True)
class LivePartition:
    """One partition of the live topic in the consumer's region."""

    number: int
    low: int
    end: int
    committed: int | None
    """What the live group has committed."""
    written_ms: int | None = None
    """When the records about that offset were written, as the group noted it."""

    @property
    def lapsed(self) -> bool:
        """True when retention deleted what the group had not read."""
        return self.committed is not None and self.committed < self.low


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the archive reaches."""

    to_ms: int
    """Everything that happened before is stored."""
    fault: str = ""
    """Why that is not known, or nothing worth."""


class LiveTopic:
    """The live topic of one region."""

    def __init__(self, clients: KafkaClients, topic: str) -> None:
        self._clients, self._topic = clients, topic

    def partitions(self, region: str) -> int:
        """Its current number of partitions.

        Raises:
            ConfigError: it is not there.
        """
        state = describe_topics(self._clients.admin(), [self._topic]).get(self._topic)
        if state is None:
            raise ConfigError(
                f"topic {self._topic} does not exist in region {region}", hint="create it with `feed topics apply`"
            )
        return state.partitions

    def look(self, group: str, partitions: int) -> list[LivePartition]:
        """Where each partition and the group stand."""
        committed = commits_of(self._clients, group, self._topic, partitions)
        with closing(self._clients.reader()) as reader:
            spans = [watermarks(reader, self._topic, n, bound_s=ANSWER_BOUND_S) for n in range(partitions)]
        return [LivePartition(n, low, end, *committed[n]) for n, (low, end) in enumerate(spans)]

    def until(self, to_ms: int, live: Sequence[LivePartition], *, looked_ms: int) -> list[int]:
        """The offset of each partition below which every record is older than ``to_ms``, by its timestamp.

        Args:
            to_ms: the time.
            live: the partitions, as they were at ``looked_ms``.
            looked_ms: what was in the topic then is older than that, whatever retention left of it.
        """
        with closing(self._clients.reader()) as reader:
            asked = [TopicPartition(self._topic, each.number, to_ms - CLOCK_MARGIN_MS) for each in live]
            try:
                found = reader.offsets_for_times(asked, timeout=ANSWER_BOUND_S)
            except KafkaException as error:
                raise error_of(error.args[0], f"looking for a time in {self._topic}") from error
        at = {each.partition: each.offset for each in found}
        return [older_below(each, at[each.number], all_older=to_ms >= looked_ms) for each in live]

    def reach(self, group: str, partitions: int, now_ms: int) -> Reach:
        """How far a group that reads this topic has come: the time of the first record that it has not committed."""
        reached_ms = now_ms
        with closing(self._clients.reader()) as reader:
            for each in self.look(group, partitions):
                if each.committed is None or each.lapsed:
                    why = "has committed nothing" if each.committed is None else "has lapsed itself"
                    return Reach(0, f"the group {group}, which fills the archive, {why} on partition {each.number}")
                if each.committed >= each.end:
                    continue
                waiting = first_record(reader, self._topic, each.number, each.committed, bound_s=ANSWER_BOUND_S)
                if waiting is not None:
                    reached_ms = min(reached_ms, waiting.timestamp()[1])
        return Reach(reached_ms)


def older_below(live: LivePartition, found: int, *, all_older: bool) -> int:
    """Below which offset every record is older than a time; one below the first that is left when nothing tells.

    Args:
        live: the partition.
        found: the first offset that is left and not older, as the broker says; negative when all that is left is older.
        all_older: whether all that the partition ever had is older.
    """
    if found > live.low:
        return min(found, live.end)
    if found < 0 and (live.end > live.low or all_older):
        return live.end
    # what was deleted may be as young as what is left, and nobody can ask the broker for its time any more
    return live.low - 1


def begin_of(live: Sequence[LivePartition]) -> int | None:
    """When a replay must begin that fills what retention took, by what the group noted; None when nothing lapsed.

    Raises:
        ConfigError: a lapsed partition has no note, so nobody knows.
    """
    lapsed = [each for each in live if each.lapsed]
    noted = [each.written_ms for each in lapsed if each.written_ms is not None]
    if len(noted) < len(lapsed):
        without = [each.number for each in lapsed if each.written_ms is None]
        raise ConfigError(
            f"no time is noted with the group's offsets of partitions {without}",
            hint="give --from: an hour before the consumer's last good moment",
        )
    return min(noted) - BEGIN_MARGIN_MS if noted else None


def committed_of(clients: KafkaClients, group: str, topic: str, partitions: int) -> list[int | None]:
    """What a group has committed in each partition. Errors as below."""
    return [offset for offset, _ in commits_of(clients, group, topic, partitions)]


def commits_of(clients: KafkaClients, group: str, topic: str, partitions: int) -> list[tuple[int | None, int | None]]:
    """What a group has committed in each partition, and the time that it noted with it.

    Raises:
        RetryableError: its coordinator does not answer.
    """
    places = [TopicPartition(topic, number) for number in range(partitions)]
    found = group_offsets(clients, group, places, bound_s=ANSWER_BOUND_S)
    commits = {each.partition: (each.offset, noted_ms(each.metadata)) for each in found if each.offset >= 0}
    return [commits.get(n, (None, None)) for n in range(partitions)]
