"""A copy proves by its ordinals that it is complete, whatever the order in which partitions are read."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from mirrormaker.audit import Hole, ShardLedger
from mirrormaker.audit.shards import MAX_RUNS, Shard
from schemas.control import ControlEvent, ControlKind

PATIENCE_MS = 1_000


def ledger() -> ShardLedger:
    made = ShardLedger(patience_ms=PATIENCE_MS)
    made.judged_after_ms = 100
    return made


def said(kind: ControlKind, ordinal: int = -1, at_ms: int = 200) -> ControlEvent:
    return ControlEvent(kind=kind, feed="orders", at_ms=at_ms, shard="s", ordinal=ordinal)


@given(st.sets(st.integers(0, 60), min_size=1), st.randoms(use_true_random=False))
def test_holes_are_what_never_came(seen: set[int], chance: random.Random) -> None:
    """For any ordinals in any order, the holes are those between the first and the last that did not come."""
    shard = Shard(floor=min(seen))
    order = list(seen)
    chance.shuffle(order)
    for ordinal in order:
        shard.add(ordinal, ordinal)
    holes = {ordinal for first, last in shard.holes() for ordinal in range(first, last + 1)}
    assert holes == set(range(min(seen), max(seen) + 1)) - seen


def test_a_hole_is_a_difference_only_when_it_stays() -> None:
    """Another partition's records may be behind: what comes within the bound is none; what does not is told once."""
    made = ledger()
    for ordinal in (0, 1, 4, 5, 8):
        made.see("s", ordinal, 200)
    assert made.judge(1_000) == []
    made.see("s", 2, 210)
    made.see("s", 3, 210)
    assert made.judge(1_999) == []
    assert made.judge(2_000) == [Hole("s", 6, 7)]
    assert made.judge(9_000) == []
    assert made.missing == 2


def test_the_end_of_a_shard_says_what_its_tail_lacks() -> None:
    """Without shard-end a missing tail cannot be seen; with it it is told, and a complete shard is put away."""
    made = ledger()
    made.hear(said(ControlKind.SHARD_START))
    for ordinal in range(5):
        made.see("s", ordinal, 200)
    made.hear(said(ControlKind.REFUSED, 5))
    assert made.judge(0, ended=True) == []
    made.hear(said(ControlKind.SHARD_END, 7))
    assert made.judge(0, ended=True) == [Hole("s", 6, 7)]
    assert made.judge(1) == []
    assert made.shards == {}
    made.see("s", 5, 300)  # a dead letter that was retried
    assert made.shards == {}


def test_what_is_older_than_the_copy_holds_is_not_judged() -> None:
    """Ordinals captured before every partition begins may have expired; the first later one is where judging begins."""
    made = ledger()
    for ordinal, captured in ((3, 50), (9, 100), (11, 150), (13, 160)):
        made.see("s", ordinal, captured)
    assert made.judge(0, ended=True) == [Hole("s", 12, 12)]
    made.hear(ControlEvent(kind=ControlKind.SHARD_START, feed="orders", at_ms=90, shard="old"))
    assert "old" not in made.shards


def test_memory_is_bounded_and_the_oldest_hole_goes_first() -> None:
    """More holes than the bound are judged at once, the oldest first."""
    made = ledger()
    for ordinal in range(0, 2 * (MAX_RUNS + 3), 2):
        made.see("s", ordinal, 200)
    assert made.judge(0) == [Hole("s", 1, 1), Hole("s", 3, 3)]


def test_what_is_known_survives_a_restart() -> None:
    """A ledger that is restored from its document judges as the one that wrote it."""
    made = ledger()
    for ordinal in (0, 1, 3):
        made.see("s", ordinal, 200)
    again = ShardLedger(patience_ms=PATIENCE_MS)
    again.restore(made.document())
    again.see("s", 2, 210)
    again.see("s", 6, 210)
    assert again.judge(0, ended=True) == [Hole("s", 4, 5)]
