"""Moving consumer groups to a copy when the source region is gone: where each begins, and how much it reads again.

Promises: a group never begins behind something that it has not done; what it reads again is bounded, and the bound is
told before anything is changed. ``plan_group`` is pure; ``ask`` and ``apply`` talk to the copy's cluster only.
"""

from mirrormaker.failover.asking import CopyFacts, ask, source_members
from mirrormaker.failover.checkpoints import Checkpoint, read_checkpoints
from mirrormaker.failover.moving import apply, differences
from mirrormaker.failover.plan import Begin, GroupPlan, PartitionPlan, plan_group

__all__ = [
    "Begin",
    "Checkpoint",
    "CopyFacts",
    "GroupPlan",
    "PartitionPlan",
    "apply",
    "ask",
    "differences",
    "plan_group",
    "read_checkpoints",
    "source_members",
]
