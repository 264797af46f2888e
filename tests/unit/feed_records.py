"""Records as the producer writes them, without a broker."""

from __future__ import annotations

from consumers.columns import StoredRecord
from consumers.runtime.contracts import Partition

PARTITION = Partition(cluster_id="cluster-1", topic_id="topic-1", topic="orders", number=0)


def record(
    offset: int,
    *,
    at_ms: int = 1_764_000_000_000,
    ordinal: int | None = None,
    shard: str = "shardId-1",
    topic_run: str = "",
) -> StoredRecord:
    """The record at ``offset``; ``topic_run`` makes another topic's event of it."""
    number = offset if ordinal is None else ordinal
    event_id = f"{shard}:{topic_run}{number}"
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_type", b"changefeed.change.u"),
        ("ce_time", b"2025-11-24T16:00:00Z"),
        ("ce_shard", shard.encode()),
        ("ce_ordinal", b"%d" % number),
        ("trace", b"first"),
        ("trace", b"second"),
    ]
    return StoredRecord("orders", 0, offset, b"o-%d" % (offset % 7), b"value-%d" % number, headers, 1, at_ms)
