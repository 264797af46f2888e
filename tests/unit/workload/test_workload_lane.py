"""Lanes, against a table in memory that fails in every way that a table can."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feed.verify import expect
from feed.workload import Outcome, WorkloadSettings, image_digest
from feed.workload.lane import Lane
from feed.workload.plan import plan_lane
from feed.workload.rehearsal import START_MS, JumpingClock, MemoryTable, rehearse
from schemas.change import Op
from schemas.errors import FatalError, RetryableError

PLAN = WorkloadSettings(rate_per_s=100, seconds=5, lanes=1, noop_share=0.2, delete_share=0.3)


class Flaky(MemoryTable):
    """Loses answers, refuses, throttles; a lost answer may or may not have been a write."""

    def __init__(self, seed: int, share: float) -> None:
        super().__init__()
        self.random, self.share = random.Random(seed), share

    def call(self, target: str, body: bytes) -> tuple[int, bytes]:
        fate = self.random.random() / self.share if self.share else 1.0
        if fate < 0.25:
            super().call(target, body)
            raise RetryableError("the answer is lost", hint="")
        if fate < 0.5:
            raise RetryableError("the request is lost", hint="")
        if fate < 0.75:
            return 500, b"{}"
        if fate < 1:
            return 400, b'{"__type":"ThrottlingException"}'
        return super().call(target, body)


def ledger_of(table: MemoryTable, plan: WorkloadSettings = PLAN) -> list:
    entries: list = []
    clock = JumpingClock()
    lane = Lane(table, "orders", entries.append, clock.as_clock(), settle_timeout_ms=plan.settle_timeout_ms)
    lane.run(plan_lane(plan, 0), START_MS)
    return entries


@given(st.integers(0, 10_000), st.floats(0, 0.6))
@settings(max_examples=60, deadline=None)
def test_the_ledger_says_what_the_stream_says_whatever_gets_lost(seed: int, share: float) -> None:
    """With answers lost, errors and throttling, the ledger's changes are the stream's, one for one."""
    table = Flaky(seed, share)
    entries = ledger_of(table)
    written = [(entry.order, entry.op, entry.digest) for entry in entries if entry.op is not None]
    streamed = [((after or before)["orderId"]["S"], op, image_digest(after)) for op, before, after in table.records]
    assert written == streamed
    assert all(entry.outcome is not Outcome.UNKNOWN for entry in entries)


def test_a_no_op_leaves_no_trace_in_the_stream() -> None:
    """No-op writes are in the ledger without an op, and the stream has as many records as the ledger has changes."""
    table = MemoryTable()
    entries = ledger_of(table)
    no_ops = [entry for entry in entries if entry.op is None]
    assert len(no_ops) > 10
    assert len(table.records) == len(entries) - len(no_ops)


def test_a_write_that_stays_unknown_ends_the_lane() -> None:
    """When neither answer nor item can be had within the bound, the ledger says unknown and the lane stops."""

    class Dead(MemoryTable):
        def call(self, target: str, body: bytes) -> tuple[int, bytes]:
            raise RetryableError("nobody is there", hint="")

    entries: list = []
    clock = JumpingClock()
    lane = Lane(Dead(), "orders", entries.append, clock.as_clock(), settle_timeout_ms=1_000)
    with pytest.raises(FatalError, match="not known after 1000 ms"):
        lane.run(plan_lane(PLAN, 0), START_MS)
    assert [entry.outcome for entry in entries] == [Outcome.UNKNOWN]
    assert expect(entries).unsure == 1


def test_a_foreign_write_is_not_taken_for_our_own() -> None:
    """A condition that fails though no answer was lost means that somebody else wrote: the lane stops and says so."""

    class Shared(MemoryTable):
        def call(self, target: str, body: bytes) -> tuple[int, bytes]:
            answer = super().call(target, body)
            for item in self.items.values():
                item["revision"] = {"N": "99"}
            return answer

    with pytest.raises(FatalError, match="the table refused write"):
        ledger_of(Shared())


def test_a_slow_table_shows_as_lateness() -> None:
    """A table that takes 50 ms a write at 100 writes/s makes the lane late by what it lacks, and drops no write."""

    class Slow(MemoryTable):
        def call(self, target: str, body: bytes) -> tuple[int, bytes]:
            clock.ms += 50
            return super().call(target, body)

    clock = JumpingClock()
    entries: list = []
    lane = Lane(Slow(), "orders", entries.append, clock.as_clock(), settle_timeout_ms=1_000)
    lane.run(plan_lane(PLAN, 0), START_MS)
    assert lane.report.writes == len(entries) == len(list(plan_lane(PLAN, 0)))
    assert lane.report.lateness_ms[-1] > 15_000


def test_updated_at_is_the_time_of_the_write() -> None:
    """createdAt stays, updatedAt is when the call began, and a delete's before-image is the last that was written."""
    rehearsal = rehearse(PLAN)
    called = {(entry.order, entry.number): entry.called_ms for entry in rehearsal.entries if entry.op is not None}
    for op, before, after in rehearsal.records:
        if after is not None:
            assert int(after["updatedAt"]["N"]) == called[after["orderId"]["S"], int(after["revision"]["N"])]
        if op is Op.UPDATE and before is not None and after is not None:
            assert before["createdAt"] == after["createdAt"]
