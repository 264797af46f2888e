"""The copy audit: proves that a copy is its original, partition by partition, in order, or says where it is not.

``Comparison`` is the pure part; ``Audit`` reads two clusters; what it finds it may tell (``GapWriter``).
"""

from mirrormaker.audit.comparison import Comparison, Kind, Print, Tally, fingerprint
from mirrormaker.audit.findings import Finding, GapWriter, Untold, audit_topic
from mirrormaker.audit.metrics import AuditMetrics
from mirrormaker.audit.run import Audit, AuditVerdict, PartitionVerdict
from mirrormaker.audit.shards import Hole, ShardLedger
from mirrormaker.audit.side import Partition, Side
from mirrormaker.audit.state import AuditState, load_state

__all__ = [
    "Audit",
    "AuditMetrics",
    "AuditState",
    "AuditVerdict",
    "Comparison",
    "Finding",
    "GapWriter",
    "Hole",
    "Kind",
    "Partition",
    "PartitionVerdict",
    "Print",
    "ShardLedger",
    "Side",
    "Tally",
    "Untold",
    "audit_topic",
    "fingerprint",
    "load_state",
]
