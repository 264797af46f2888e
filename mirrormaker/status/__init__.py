"""How a flow is now: its tasks.

And how far each partition was copied; from the topics that MirrorMaker itself keeps.
"""

from mirrormaker.status.asking import flow_status
from mirrormaker.status.flow import FlowStatus, PartitionState, TaskState, copied_offsets, task_states

__all__ = ["FlowStatus", "PartitionState", "TaskState", "copied_offsets", "flow_status", "task_states"]
