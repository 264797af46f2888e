"""What a complete snapshot leaves to remove: items of its partition that the scan did not see. Pure: SQL as text.

The statement runs in the transaction of the load that carries the partition's rows up to the marker, after they are
merged. What then still has a version of a former epoch was neither seen by the scan nor changed since: it was deleted
while changes were missing. Its current row is marked as deleted, like by a delete that was seen. The history gets no
row: it holds what was published, and nobody published that delete; ``feed_event_id`` of the current row names the
snapshot.
"""

# ruff: noqa: S608 - every name and literal is quoted here, and none comes from a record

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from consumers.analytics.loads import Load
from consumers.analytics.tables import Tables, literal, quoted
from schemas.change import Op
from schemas.marker import SnapshotMarker
from schemas.version import Version, end_of_epoch_before


def sweeps_of(tables: Tables, load: Load) -> list[str]:
    """The statements for all markers of a load, in the order of their epochs."""
    return list(_statements(tables, (marker for part in load.parts for _, marker in part.markers)))


def _statements(tables: Tables, markers: Iterable[SnapshotMarker]) -> Iterable[str]:
    for marker in sorted(markers, key=lambda marker: (marker.epoch, marker.partition)):
        at = datetime.fromtimestamp(marker.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        cells = {
            "feed_deleted": "TRUE",
            "feed_op": literal(Op.DELETE),
            "feed_version": literal(end_of_epoch_before(marker.epoch).to_text()),
            "feed_event_id": literal(marker.event_id),
            "feed_occurred_at": f"CAST({literal(at)} AS TIMESTAMP)",
        } | {column.name: "NULL" for column in tables.image}
        changes = ", ".join(f"{quoted(name)} = {value}" for name, value in cells.items())
        # a key has been in its partition since the topic was made; the current state does not keep which
        yield f"""
            UPDATE {tables.current} SET {changes}
            WHERE NOT feed_deleted AND feed_version < {literal(Version(marker.epoch, 0).to_text())}
            AND feed_key IN (SELECT feed_key FROM {tables.history} WHERE feed_partition = {marker.partition})"""
