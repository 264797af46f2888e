"""The audit sink: every change kept raw, immutably and provably, in segments of each partition.

Promises: a stored record cannot be changed or removed unseen (hash chain, Object Lock in COMPLIANCE mode); nothing is
stored twice or skipped, whatever crashed; what is stored is found by names made of content, never of clock or host.
"""

from consumers.audit.anchors import Anchor, Anchored, TableAnchor
from consumers.audit.chain import ChainStore
from consumers.audit.ordinals import OrdinalLedger
from consumers.audit.reader import partitions_in, read_chain
from consumers.audit.segments import Link, folder_of
from consumers.audit.settings import AuditSettings
from consumers.audit.sink import AuditSink
from consumers.audit.verify import ChainReport, Finding, Status, verify_chain
from consumers.audit.verify_log import LogReport, verify_log

__all__ = [
    "Anchor",
    "Anchored",
    "AuditSettings",
    "AuditSink",
    "ChainReport",
    "ChainStore",
    "Finding",
    "Link",
    "LogReport",
    "OrdinalLedger",
    "Status",
    "TableAnchor",
    "folder_of",
    "partitions_in",
    "read_chain",
    "verify_chain",
    "verify_log",
]
