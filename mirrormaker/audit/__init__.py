"""The copy audit: proves that a copy is its original, partition by partition, in order, or says where it is not.

``Comparison`` is the pure part; ``Audit`` reads two clusters and never writes to either.
"""

from mirrormaker.audit.comparison import Comparison, Kind, Print, Tally, fingerprint
from mirrormaker.audit.run import Audit, AuditMetrics, AuditVerdict, PartitionVerdict
from mirrormaker.audit.side import Partition, Side
from mirrormaker.audit.state import AuditState, load_state

__all__ = [
    "Audit",
    "AuditMetrics",
    "AuditState",
    "AuditVerdict",
    "Comparison",
    "Kind",
    "Partition",
    "PartitionVerdict",
    "Print",
    "Side",
    "Tally",
    "fingerprint",
    "load_state",
]
