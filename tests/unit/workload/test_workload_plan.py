"""The plan of the workload."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from feed.workload import Step, WorkloadSettings, plan_lane
from feed.workload.plan import LIFE
from schemas.change import Op

shares = st.floats(min_value=0, max_value=1)
plans = st.builds(
    WorkloadSettings,
    rate_per_s=st.integers(20, 400),
    seconds=st.floats(0.5, 8),
    lanes=st.integers(1, 4),
    seed=st.integers(0, 1_000),
    pause_ms=st.integers(0, 3_000),
    cancel_share=shares,
    delete_share=shares,
    burst_share=shares,
    noop_share=shares,
    hot_share=st.floats(min_value=0, max_value=0.9),
)


def steps_of(plan: WorkloadSettings) -> list[list[Step]]:
    return [list(plan_lane(plan, lane)) for lane in range(plan.lanes)]


@given(plans)
@settings(max_examples=60, deadline=None)
def test_changes_of_an_order_are_numbered_without_a_hole(plan: WorkloadSettings) -> None:
    """The changes of each order are 1, 2, 3 …, no-ops repeat the one before, nothing follows the last."""
    for steps in steps_of(plan):
        numbers: dict[str, int] = defaultdict(int)
        finished: set[str] = set()
        for step in steps:
            assert step.order not in finished
            assert step.number == numbers[step.order] + (step.op is not None)
            numbers[step.order] = step.number
            if step.last:
                finished.add(step.order)


@given(plans)
@settings(max_examples=60, deadline=None)
def test_an_order_exists_between_its_create_and_its_delete(plan: WorkloadSettings) -> None:
    """A create comes only where there is no item, an update or delete only where there is one."""
    for steps in steps_of(plan):
        alive: set[str] = set()
        for step in steps:
            assert (step.order in alive) == (step.op is not Op.CREATE)
            if step.op is Op.CREATE:
                alive.add(step.order)
            elif step.op is Op.DELETE:
                alive.remove(step.order)


@given(plans)
@settings(max_examples=60, deadline=None)
def test_writes_are_due_at_the_set_rate(plan: WorkloadSettings) -> None:
    """All lanes together plan rate x seconds writes, give or take the last burst and no-op of each lane."""
    count = sum(len(steps) for steps in steps_of(plan))
    assert abs(count - plan.rate_per_s * plan.seconds) <= 5 * plan.lanes


@given(plans)
@settings(max_examples=30, deadline=None)
def test_the_same_seed_gives_the_same_plan(plan: WorkloadSettings) -> None:
    """A plan is a function of its settings, and its steps are due in the order in which they come."""
    first, second = steps_of(plan), steps_of(plan)
    assert first == second
    for steps in first:
        assert [step.due_ms for step in steps] == sorted(step.due_ms for step in steps)


def test_the_default_plan_has_everything_an_order_service_does() -> None:
    """Whole lives, cancels, deletes, keys that come back, bursts, no-ops and hot orders all occur in 30 s."""
    steps = [step for lane in steps_of(WorkloadSettings(seconds=30)) for step in lane]
    assert {step.status for step in steps} == {*LIFE, "cancelled"}
    assert sum(step.op is Op.DELETE for step in steps) > 20
    assert sum(step.op is Op.CREATE and step.number > 1 for step in steps) > 3
    assert sum(step.op is None for step in steps) > 100
    assert sum(step.burst > 0 for step in steps) > 100
    hottest = max(step.number for step in steps)
    assert hottest > 30


def test_a_burst_is_three_changes_back_to_back() -> None:
    """Nothing of the same lane comes between the changes of a burst, and all are due at the same moment."""
    steps = list(plan_lane(WorkloadSettings(seconds=30, noop_share=0), 0))
    bursts = defaultdict(list)
    for place, step in enumerate(steps):
        if step.burst:
            bursts[step.burst].append((place, step))
    assert bursts
    for parts in bursts.values():
        places = [place for place, _ in parts]
        assert places == list(range(places[0], places[0] + 3))
        assert len({(step.order, step.due_ms) for _, step in parts}) == 1
