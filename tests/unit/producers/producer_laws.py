"""What must hold at the end of every simulated history of the producer."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from schemas.control import ControlEvent, ControlKind
from tests.unit.producers.simulated_worker import POISON, BrokenLawError, digest_of

if TYPE_CHECKING:
    from tests.unit.producers.producer_simulation import Simulation


class Laws:
    """What must hold at the end of every simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.written = tuple(simulation.streams.written)
        """All records of the stream, those among them that a filter leaves out."""
        self.changes = simulation.changes()
        self.control = simulation.control()
        self.positions = simulation.positions()
        self.baselines = simulation.baselines()

    def check(self) -> None:
        """All laws."""
        self.once_and_in_order()
        self.ordinals()
        self.nothing_lost()
        self.certain_gaps()
        self.lineage()
        self.values()

    def _of(self, kind: ControlKind) -> list[ControlEvent]:
        return [event for event in self.control if event.kind is kind]

    def once_and_in_order(self) -> None:
        """No change twice; versions of a key grow along its partition."""
        last: dict[str, tuple[int, int]] = {}
        for facts, _ in self.changes:
            if facts.version <= last.get(facts.subject, (0, 0)):
                raise BrokenLawError(f"{facts.subject}: {facts.version} after {last[facts.subject]}")
            last[facts.subject] = facts.version

    def ordinals(self) -> None:
        """Dense and unique in each shard, dead letters among them; the position counts exactly what is committed."""
        found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for facts, _ in self.changes:
            found[facts.shard].append((facts.ordinal, facts.sequence))
        for event in self._of(ControlKind.REFUSED):
            found[event.shard].append((event.ordinal, event.sequence or 0))
        for shard, pairs in found.items():
            pairs.sort()
            if [ordinal for ordinal, _ in pairs] != list(range(len(pairs))):
                raise BrokenLawError(f"{shard}: ordinals {pairs}")
            if [sequence for _, sequence in pairs] != sorted(sequence for _, sequence in pairs):
                raise BrokenLawError(f"{shard}: sequence numbers out of order {pairs}")
        for shard, position in self.positions.items():
            if position.ordinal != len(found[shard]) - 1:
                raise BrokenLawError(
                    f"{shard}: the position says {position.ordinal}, committed are {len(found[shard])}"
                )
            if found[shard] and not self.stands_at(position.sequence or 0, found[shard][-1][1]):
                raise BrokenLawError(f"{shard}: the position says {position.sequence}, committed is {found[shard][-1]}")

    def stands_at(self, position: int, committed: int) -> bool:
        """Whether a position fits the last sequence number that is committed: nothing was left out, so it is that."""
        return position == committed

    def nothing_lost(self) -> None:
        """What is missing was trimmed and has a gap event; where nothing was trimmed there is none."""
        streams = self.simulation.streams
        refused = self.simulation.refused()
        published = {facts.sequence for facts, _ in self.changes} | set(refused)
        if len(published) != len(self.changes) + len(refused):
            raise BrokenLawError("a record was published twice")
        gaps = {event.shard for event in self._of(ControlKind.GAP) if event.shard}
        covered = self._with_ancestors(gaps)
        parents = {event.shard for event in self._of(ControlKind.SHARD_START)}
        for shard, sequence, key, revision in streams.written:
            if sequence in published or not self.simulation.promised(shard, sequence, self.baselines):
                continue
            if sequence not in streams.trimmed:
                raise BrokenLawError(f"lost {key}/{revision} of {shard}")
            if streams.trimmed[sequence] <= self.baselines[0].at_ms:
                continue  # before the feed began
            if self.simulation.new_streams and shard not in parents:
                continue  # the gap event of the new stream covers what nobody ever knew of it
            if shard not in covered:
                raise BrokenLawError(f"{key}/{revision} of {shard} was trimmed without a gap event; gaps: {gaps}")
        if gaps and not self.simulation.plan.away_hours:
            raise BrokenLawError(f"gap events though nothing was trimmed: {gaps}")
        whole = [event for event in self._of(ControlKind.GAP) if not event.shard]
        if len(whole) != len({baseline.stream for baseline in self.baselines}) - 1:
            raise BrokenLawError(f"{len(whole)} gap events of new streams, baselines: {self.baselines}")

    def certain_gaps(self) -> None:
        """What a gap calls certain was really lost: a promised record of the shard was trimmed behind its position."""
        streams = self.simulation.streams
        published = {facts.sequence for facts, _ in self.changes} | set(self.simulation.refused())
        for event in self._of(ControlKind.GAP):
            lost = {
                sequence
                for shard, sequence, _, _ in self.written
                if shard == event.shard and sequence > (event.sequence or 0) and sequence not in published
            }
            if event.certain and not lost & streams.trimmed.keys():
                raise BrokenLawError(f"{event.shard}: the gap is called certain, and nothing was lost")

    def _with_ancestors(self, gaps: set[str]) -> set[str]:
        """A gap covers its shard and those before it of which the feed never knew."""
        parents = {event.shard: event.parent for event in self._of(ControlKind.SHARD_START)}
        born = self.simulation.streams.parents
        covered = set(gaps)
        for shard in gaps:
            parent = born.get(shard, "")
            while parent and parent not in parents:
                covered.add(parent)
                parent = born.get(parent, "")
        return covered

    def lineage(self) -> None:
        """Starts and ends are unique; the ends count; no shard was read before its parent was terminal."""
        starts = [event.shard for event in self._of(ControlKind.SHARD_START)]
        ends = {event.shard: event.ordinal for event in self._of(ControlKind.SHARD_END)}
        if len(starts) != len(set(starts)) or len(ends) != len(self._of(ControlKind.SHARD_END)):
            raise BrokenLawError("a shard started or ended twice")
        terminal = ends.keys() | {event.shard for event in self._of(ControlKind.GAP)}
        read = {facts.shard for facts, _ in self.changes}
        parents = {event.shard: event.parent for event in self._of(ControlKind.SHARD_START)}
        for shard in read:
            if shard not in parents:
                raise BrokenLawError(f"{shard} was read but never started")
            if parents[shard] and parents[shard] not in terminal:
                raise BrokenLawError(f"{shard} was read before {parents[shard]} was terminal")
        for shard, last in ends.items():
            if self.positions[shard].ordinal != last:
                raise BrokenLawError(f"{shard} ended with {last}, its position says {self.positions[shard].ordinal}")

    def values(self) -> None:
        """Each change carries key and images as they were written, whole, and the time-to-live mark."""
        written = {sequence: (key, revision) for _, sequence, key, revision in self.simulation.streams.written}
        expired = self.simulation.streams.expired
        for facts, value in self.changes:
            key, revision = written[facts.sequence]
            mark = "ttl" if facts.sequence in expired else ""
            if (key, f"{revision}/{mark}/{digest_of(key, revision)}") != (facts.subject, value):
                raise BrokenLawError(f"{facts.sequence}: {facts.subject}/{value} is not {key}/{revision}")
        for sequence in self.simulation.refused():
            if abs(written[sequence][1]) != POISON:
                raise BrokenLawError(f"{sequence} was refused")
