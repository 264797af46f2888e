"""How a flow is now: its tasks.

And how far each partition was copied, and how fast; from the topics that MirrorMaker itself keeps, and from its
process's metrics where they are served.
"""

from mirrormaker.status.asking import flow_status
from mirrormaker.status.flow import FlowStatus, PartitionState, TaskState, copied_offsets, task_states
from mirrormaker.status.jmx import ProcessMetrics, Rates, rates, read_metrics
from mirrormaker.status.pace import Pace, measure_pace
from mirrormaker.status.watch import StatusWatch

__all__ = [
    "FlowStatus",
    "Pace",
    "PartitionState",
    "ProcessMetrics",
    "Rates",
    "StatusWatch",
    "TaskState",
    "copied_offsets",
    "flow_status",
    "measure_pace",
    "rates",
    "read_metrics",
    "task_states",
]
