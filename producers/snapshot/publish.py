"""What a snapshot's transactions hold."""

from __future__ import annotations

from producers.snapshot.rows import Rows
from producers.stream.ports import SlotLog
from producers.stream.translate import FeedSource
from schemas.control import ControlEvent, ControlKind, encode_control
from schemas.marker import SnapshotMarker, marker_headers
from schemas.snapshot import COMPLETE_KEY, Complete, entry_json, segment_key


def publish_rows(log: SlotLog, feed: str, rows: Rows) -> None:
    """Rows of one page, and how far its segment is with them, into the open transaction."""
    for key, value, headers, at_ms in rows.changes:
        log.publish(feed, key, value, headers, at_ms)
    for key, value, headers, at_ms in rows.dead:
        log.publish(f"{feed}.dead-letter", key, value, headers, at_ms)
    for event in rows.control:
        log.publish(f"{feed}.control", event.shard.encode(), encode_control(event), [], event.at_ms)
    log.save(segment_key(rows.segment.number), entry_json(rows.segment), rows.segment.at_ms)


def publish_complete(log: SlotLog, source: FeedSource, complete: Complete, *, partitions: int, segments: int) -> None:
    """The end, into the open transaction: a marker in every partition behind all its rows, and the control event."""
    feed, at_ms = source.feed, complete.at_ms
    about = f"urn:dynamodb:{source.region}:{source.table}"
    for partition in range(partitions):
        marker = SnapshotMarker(complete.epoch, partition, partitions, at_ms)
        log.publish(feed, None, None, marker_headers(marker, about), at_ms, partition=partition)
    event = ControlEvent(
        kind=ControlKind.SNAPSHOT_COMPLETE,
        feed=feed,
        at_ms=at_ms,
        epoch=complete.epoch,
        reason=f"rows={complete.rows - complete.refused} refused={complete.refused} segments={segments}",
    )
    log.publish(f"{feed}.control", b"snapshot", encode_control(event), [], at_ms)
    log.save(COMPLETE_KEY, entry_json(complete), at_ms)
