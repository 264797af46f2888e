"""The audit sink: every change kept raw, immutably and provably, in segments of each partition.

Promises: a stored record cannot be changed or removed unseen (hash chain, Object Lock in COMPLIANCE mode); nothing is
stored twice or skipped, whatever crashed; what is stored is found by names made of content, never of clock or host.
"""

from consumers.audit.anchors import Anchor, Anchored, TableAnchor
from consumers.audit.chain import ChainStore
from consumers.audit.findings import Finding, Status
from consumers.audit.history import Proven, history_of
from consumers.audit.reader import partitions_in, read_chain
from consumers.audit.segments import Link, folder_of
from consumers.audit.settings import AuditSettings
from consumers.audit.sink import AuditSink
from consumers.audit.trust import anchor_of, signer_of
from consumers.audit.verify import ChainReport, Span, verify_chain
from consumers.audit.verify_log import LogReport, Wanted, verify_log
from consumers.columns import OrdinalLedger

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
    "Proven",
    "Span",
    "Status",
    "TableAnchor",
    "Wanted",
    "anchor_of",
    "folder_of",
    "history_of",
    "partitions_in",
    "read_chain",
    "signer_of",
    "verify_chain",
    "verify_log",
]
