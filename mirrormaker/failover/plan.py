"""Where a group begins in the copy: decided from what the copy's region knows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mirrormaker.failover.checkpoints import Checkpoint

Place = tuple[str, int]
"""A topic and a partition's number."""


class Begin(StrEnum):
    """Why a group begins where it does."""

    CHECKPOINT = "checkpoint"
    """MirrorMaker translated its offset."""
    OLDEST = "oldest"
    """Nothing is known of it: at the oldest record that the copy holds. Effects are once by the events' identity."""
    TRIMMED = "trimmed"
    """Its translated offset is older than what the copy still holds: what lay between is gone here."""


@dataclass(frozen=True)
class PartitionPlan:
    """Where a group begins in one partition.

    Attributes:
        topic: the topic.
        partition: its number.
        start: the offset in the copy.
        why: how it was found.
        upstream: what the group had committed at the source; None: not known.
        committed_here: what is committed in the copy's region now; None: nothing.
        end: the copy's end.
        lost: offsets of the copy that the group had not done and that are gone (``TRIMMED``).
    """

    topic: str
    partition: int
    start: int
    why: Begin
    upstream: int | None
    committed_here: int | None
    end: int
    lost: int = 0

    @property
    def reread_at_most(self) -> int:
        """So many records can be read again: all that the copy holds from the start on."""
        return max(0, self.end - self.start)

    @property
    def moves_back(self) -> bool:
        """What is committed here is further: the group ran here before, or something else committed for it."""
        return self.committed_here is not None and self.committed_here > self.start


@dataclass(frozen=True)
class GroupPlan:
    """Where a group begins, and what stands against it."""

    group: str
    partitions: tuple[PartitionPlan, ...]
    faults: tuple[str, ...]

    @property
    def reread_at_most(self) -> int:
        """Over all partitions."""
        return sum(one.reread_at_most for one in self.partitions)

    @property
    def lost(self) -> int:
        """Over all partitions: what the copy let expire before the group had done it."""
        return sum(one.lost for one in self.partitions)


def plan_group(
    group: str,
    *,
    checkpoints: Iterable[Checkpoint],
    marks: Mapping[Place, tuple[int, int]],
    committed: Mapping[Place, int],
    members: int,
    allow_back: bool,
) -> GroupPlan:
    """Plan one group.

    Args:
        group: its name.
        checkpoints: of any group.
        marks: first offset, and the one after the last, of each partition that the group shall read.
        committed: the group's offsets in the copy's region.
        members: of the group there now.
        allow_back: a group may begin before what it has committed there.
    """
    known = {(one.topic, one.partition): one for one in checkpoints if one.group == group}
    partitions, faults = [], []
    if members:
        faults.append(f"{group} has {members} members here: it runs already.")
    for place, (low, high) in sorted(marks.items()):
        one = _partition(place, low, high, known.get(place), committed.get(place))
        partitions.append(one)
        where = f"{group} at {one.topic}/{one.partition}"
        if one.start > high:
            faults.append(f"{where}: its checkpoint is {one.start} and the copy ends at {high}: another topic.")
        elif one.moves_back and not allow_back:
            faults.append(f"{where}: {one.committed_here} is committed here, and only {one.start} is known to be done.")
    return GroupPlan(group, tuple(partitions), tuple(faults))


def _partition(
    place: Place, low: int, high: int, checkpoint: Checkpoint | None, committed: int | None
) -> PartitionPlan:
    topic, number = place
    if checkpoint is None:
        return PartitionPlan(topic, number, low, Begin.OLDEST, None, committed, high)
    if checkpoint.downstream < low:
        lost = low - checkpoint.downstream
        return PartitionPlan(topic, number, low, Begin.TRIMMED, checkpoint.upstream, committed, high, lost)
    return PartitionPlan(topic, number, checkpoint.downstream, Begin.CHECKPOINT, checkpoint.upstream, committed, high)
