"""What ordinals prove of one item's life: which of them must be held, wherever they are stored. Pure.

A change that never reached the log leaves no hole in a chain; it leaves one in the ordinals of its shard. So between an
item's first and last change every ordinal of the shards that carried it must be held in some partition, or be declared:
from its first change in the first shard, over the ends of shards and the whole of those between, to its last change in
the last one.
"""

from __future__ import annotations

from collections.abc import Mapping

from consumers.columns import Declared, OrdinalLedger, OrdinalReport, Refused
from consumers.columns.declared import SNAPSHOT

Extent = tuple[int, int]
"""First and last ordinal, both included."""


def extents_of(seen: Mapping[str, Extent], declared: Declared) -> dict[str, Extent]:
    """The ordinals that must be there, by shard.

    Args:
        seen: lowest and highest ordinal of the item's own changes in each shard, shards in the order of the log.
        declared: starts, ends and parents of shards. What it does not tell is not asked for.
    """
    wanted = dict(seen)
    stream = [shard for shard in seen if not shard.startswith(SNAPSHOT)]
    for position, shard in enumerate(stream):
        first, last = seen[shard]
        if position and shard in declared.started_ms:
            first = 0
        if position + 1 < len(stream) and shard in declared.ends:
            last = max(last, declared.ends[shard][0])
        wanted[shard] = (first, last)
        before = set(stream[:position])
        for between in _lineage(shard, before, declared):
            if between in declared.ends:
                wanted[between] = (0, declared.ends[between][0])
    return wanted


def judge_extents(extents: Mapping[str, Extent], ledger: OrdinalLedger, declared: Declared) -> OrdinalReport:
    """Which ordinals of these are neither held nor declared, or are held more than once."""
    report = OrdinalReport(gaps=[gap for gap in declared.gaps if gap.partition(": ")[0] in extents])
    repeated = ledger.repeated()
    for shard, extent in extents.items():
        refused = declared.refused.get(shard, {})
        missing = [ordinal for hole in ledger.holes_within(shard, extent) for ordinal in range(hole[0], hole[1] + 1)]
        report.changes += extent[1] - extent[0] + 1 - len(missing)
        report.declared += [Refused(shard, ordinal, refused[ordinal]) for ordinal in missing if ordinal in refused]
        if lost := [ordinal for ordinal in missing if ordinal not in refused]:
            report.missing[shard] = _runs(lost)
        if twice := [ordinal for ordinal in repeated.get(shard, ()) if extent[0] <= ordinal <= extent[1]]:
            report.repeated[shard] = twice
    return report


def _lineage(shard: str, before: set[str], declared: Declared) -> list[str]:
    """The shards between this one and the nearest ancestor that carried the item as well; none without one."""
    path: list[str] = []
    parent = declared.parents.get(shard, "")
    while parent and parent not in before and parent not in path:
        path.append(parent)
        parent = declared.parents.get(parent, "")
    return path if parent in before else []


def _runs(ordinals: list[int]) -> list[Extent]:
    """Ascending numbers as ranges."""
    runs: list[Extent] = []
    for ordinal in ordinals:
        if runs and runs[-1][1] == ordinal - 1:
            runs[-1] = (runs[-1][0], ordinal)
        else:
            runs.append((ordinal, ordinal))
    return runs
