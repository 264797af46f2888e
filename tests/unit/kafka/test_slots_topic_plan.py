"""The positions topic never changes its partitions in place, whatever is allowed for others."""

from __future__ import annotations

import pytest

from connectors.kafka import TopicSpec, plan_topics
from connectors.kafka.topics import TopicState


@pytest.mark.parametrize("found", [3, 16])
@pytest.mark.parametrize("allowed", [True, False])
def test_another_number_of_slots_is_a_command(found: int, allowed: bool) -> None:
    """More or fewer: the plan changes nothing and names the command, also with --allow-repartition."""
    spec = TopicSpec("orders.positions", 8, 1, resized_by="feed slots resize 8")
    state = TopicState("orders.positions", found, 1, {}, "id")
    plan = plan_topics([spec], {spec.name: state}, allow_repartition=allowed)
    assert not plan.changes
    (refused,) = plan.refused
    assert f"{found} to 8 partitions is never done in place" in refused
    assert "feed slots resize 8" in refused
