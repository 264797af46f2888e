"""The marker of a finished first load: a record without key and value in every partition of the topic of changes.

The control topic says the same, but nothing orders it after the rows: it is another topic, and a mirror copies it by
another task. Within a partition order is kept everywhere, so whoever has read the marker has read every row of that
partition, in any region.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MARKER_TYPE = "changefeed.snapshot-complete"
"""Its ``ce_type``. It is none of a change's: ``changefeed.change.<op>``."""

_TYPE = MARKER_TYPE.encode()


@dataclass(frozen=True, slots=True)
class SnapshotMarker:
    """All rows of the snapshot ``epoch`` that belong to ``partition`` lie before this record."""

    epoch: int
    partition: int
    partitions: int
    """How many the topic had: which keys the partition has follows from it."""
    at_ms: int
    """When the snapshot was complete."""

    @property
    def event_id(self) -> str:
        """``snapshot-<epoch>:complete:<partition>``."""
        return f"snapshot-{self.epoch}:complete:{self.partition}"


def marker_headers(marker: SnapshotMarker, source: str) -> list[tuple[str, bytes]]:
    """The record's headers; key and value are null. ``source`` is ``urn:dynamodb:<region>:<table>``."""
    at = datetime.fromtimestamp(marker.at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", marker.event_id.encode()),
        ("ce_source", source.encode()),
        ("ce_type", _TYPE),
        ("ce_time", at.encode()),
        ("ce_epoch", b"%d" % marker.epoch),
        ("ce_partition", b"%d" % marker.partition),
        ("ce_partitions", b"%d" % marker.partitions),
    ]


def marker_of(
    key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None
) -> SnapshotMarker | None:
    """The marker that a record is, None for any other record: a tombstone has a key.

    A replay's copy is one as well: it stands behind the snapshot's rows there too.
    """
    if key is not None or value is not None or not headers:
        return None
    found: dict[str, Any] = dict(headers)
    if found.get("ce_type") != _TYPE:
        return None
    try:
        return SnapshotMarker(
            epoch=int(found["ce_epoch"]),
            partition=int(found["ce_partition"]),
            partitions=int(found["ce_partitions"]),
            at_ms=round(datetime.fromisoformat(found["ce_time"].decode()).timestamp() * 1000),
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        return None  # something else wrote it: passed over like any record that carries nothing
