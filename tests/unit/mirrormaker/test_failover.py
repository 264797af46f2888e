"""Where a group begins in a copy: never ahead of what it has done, with the bound of what it reads again."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.cli.mirror_failover import show
from mirrormaker.failover import Begin, Checkpoint, CopyFacts, plan_group, read_checkpoints
from schemas.errors import PoisonError

PLACE = ("orders", 0)


def planned(
    *checkpoints: Checkpoint,
    low: int = 0,
    high: int = 100,
    committed: int | None = None,
    members: int = 0,
    allow_back: bool = False,
):
    return plan_group(
        "orders.audit",
        checkpoints=checkpoints,
        marks={PLACE: (low, high)},
        committed={} if committed is None else {PLACE: committed},
        members=members,
        allow_back=allow_back,
    )


def at(downstream: int, group: str = "orders.audit") -> Checkpoint:
    return Checkpoint(group, "orders", 0, upstream=downstream + 7, downstream=downstream)


def record(
    group: str, topic: str, partition: int, upstream: int, downstream: int, version: int = 0
) -> tuple[bytes, bytes]:
    texts = b"".join(struct.pack(">h", len(text.encode())) + text.encode() for text in (group, topic))
    return texts + struct.pack(">i", partition), struct.pack(">hqqh", version, upstream, downstream, 0)


def test_checkpoints_are_read_as_mirrormaker_writes_them() -> None:
    """Key and value in Kafka's own layout; tombstones are none; cut or newer records are refused."""
    key, value = record("orders.audit", "orders", 3, 2**40, 77)
    assert read_checkpoints({key: value, b"gone": None}) == (Checkpoint("orders.audit", "orders", 3, 2**40, 77),)
    for broken in ({key[:5]: value}, {key: value[:6]}, {key: record("g", "t", 0, 1, 1, version=1)[1]}):
        with pytest.raises(PoisonError):
            read_checkpoints(broken)


@given(st.integers(0, 200), st.integers(0, 100), st.integers(0, 100), st.none() | st.integers(0, 200), st.booleans())
def test_a_plan_that_may_be_done_never_passes_over_what_was_not_done(
    downstream: int, low: int, length: int, committed: int | None, allow_back: bool
) -> None:
    """It begins at the checkpoint, or later only where the copy has nothing before; the bound is what lies behind."""
    plan = planned(at(downstream), low=low, high=low + length, committed=committed, allow_back=allow_back)
    (one,) = plan.partitions
    assert one.start == max(downstream, low)
    assert plan.lost == max(0, low - downstream)
    assert plan.reread_at_most == max(0, low + length - one.start)
    refused = downstream > low + length or (committed is not None and committed > one.start and not allow_back)
    assert bool(plan.faults) == refused


def test_without_a_checkpoint_it_begins_at_the_oldest_record() -> None:
    """What another group has done says nothing of this one."""
    (one,) = planned(at(50, group="orders.archive"), low=10).partitions
    assert (one.start, one.why, one.reread_at_most) == (10, Begin.OLDEST, 90)


def test_what_stands_against_a_plan_is_said() -> None:
    """Members here, offsets that would go back, and a checkpoint beyond the copy's end are a sentence each."""
    assert planned(at(50), members=2).faults == ("orders.audit has 2 members here: it runs already.",)
    assert "60 is committed here" in planned(at(50), committed=60).faults[0]
    assert planned(at(50), committed=60, allow_back=True).faults == ()
    assert "another topic" in planned(at(150)).faults[0]


def test_a_plan_is_told_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Where each partition begins and why, what is read again at most, what is gone, what stands against it."""
    plan = planned(at(5), low=10, high=40, members=1)
    facts = CopyFacts((at(5),), {PLACE: (10, 40)}, {PLACE: 0})
    show([plan], facts, plan.faults, done=False)
    said = " ".join(capsys.readouterr().out.split())
    for words in (
        "reads at most 30 records again; 5 offsets are gone here",
        "runs already",
        "nothing was changed",
        "12",
    ):
        assert words in said
