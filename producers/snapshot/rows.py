"""What a page of a scan puts into a transaction: its rows, dead letters, control events and the segment's record. Pure.

A row says that the item was so when the scan saw it: op ``r``, version ``(epoch, 0)``. The segment is its shard, with
dense ordinals of its own, so the proof by ordinals covers rows as it covers changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from producers.snapshot.scan import Item, ScanPage
from producers.stream.batch import Outgoing
from producers.stream.translate import Codec, FeedSource
from schemas.attributes import base64_text, binary
from schemas.change import Change, Op, Source
from schemas.control import ControlEvent, ControlKind
from schemas.errors import PoisonError
from schemas.headers import headers_of
from schemas.key import key_bytes
from schemas.snapshot import Segment
from schemas.version import Version

SNAPSHOT_STAGE = "snapshot"
"""The header ``dead_letter_stage`` of a row; a change of the stream has ``producer`` there."""

_HINT = "the item is whole in the dead letters; mend the schema, then retry it from there"


@dataclass(frozen=True, slots=True)
class RowContext:
    """What composing rows needs to know beside the page."""

    source: FeedSource
    codec: Codec
    key: tuple[str, ...]
    """Attributes of the table's primary key."""
    record_max_bytes: int
    """A row whose value is larger is a dead letter."""
    keep: Callable[[Item], bool] = lambda _: True
    """The filter at the source: rows of items that the feed does not publish are left out."""


@dataclass(slots=True)
class Rows:
    """What one page becomes."""

    segment: Segment
    """How far the segment is with it."""
    changes: list[Outgoing] = field(default_factory=list)
    dead: list[Outgoing] = field(default_factory=list)
    control: list[ControlEvent] = field(default_factory=list)


def compose_rows(page: ScanPage, segment: Segment, context: RowContext, *, at_ms: int, now_ms: int) -> Rows:
    """The rows of ``page``, which follows ``segment`` and was asked for at ``at_ms``."""
    done = page.after is None
    rows = Rows(segment)
    if not segment.begun:
        rows.control.append(_event(ControlKind.SHARD_START, segment, context, now_ms))
    ordinal, dropped = segment.ordinal, segment.dropped
    for item in page.items:
        if not context.keep(item):
            dropped += 1
            continue
        ordinal += 1
        try:
            change = row_change(item, segment.shard, ordinal, context, epoch=segment.epoch, at_ms=at_ms)
            key, value = key_bytes(change.key), context.codec.encode(change)
            if len(value) > context.record_max_bytes:
                raise PoisonError(f"the row has {len(value)} bytes", hint="raise the topic's and clients' limits")
        except PoisonError as error:
            rows.dead.append(_dead_letter(item, error, replace(segment, ordinal=ordinal), context, at_ms))
            refused = replace(segment, ordinal=ordinal)
            rows.control.append(_event(ControlKind.REFUSED, refused, context, now_ms, reason=str(error)))
            continue
        rows.changes.append((key, value, headers_of(change), at_ms))
    rows.segment = replace(
        segment,
        after=page.after,
        ordinal=ordinal,
        refused=segment.refused + len(rows.dead),
        dropped=dropped,
        units=segment.units + page.units,
        begun=True,
        done=done,
        at_ms=now_ms,
    )
    if done:
        rows.control.append(_event(ControlKind.SHARD_END, rows.segment, context, now_ms))
    return rows


def row_change(item: Item, shard: str, ordinal: int, context: RowContext, *, epoch: int, at_ms: int) -> Change:
    """An item as a row.

    Raises:
        PoisonError: it can never become one.
    """
    source = context.source
    try:
        key = {name: item[name] for name in context.key}
        kept = {name: value for name, value in item.items() if name not in source.omit} if source.omit else item
        writer = item.get(source.region_attribute, {}).get("S") if source.region_attribute else None
        image = context.codec.image_from_dynamodb(kept)
    except PoisonError as error:
        error.path = f"after.{error.path}".rstrip(".")
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PoisonError(f"the item cannot be read: {error!r}", hint=_HINT) from error
    return Change(
        op=Op.READ,
        key=key,
        before=None,
        after=image,
        source=Source(source.table, source.region, "", shard, 0, ordinal, f"{shard}:{ordinal}", writing_region=writer),
        version=Version(epoch, 0),
        occurred_at_ms=at_ms,
        captured_at_ms=at_ms,
    )


def _dead_letter(item: Item, error: PoisonError, segment: Segment, context: RowContext, at_ms: int) -> Outgoing:
    """The item as JSON (binary as base64), with headers that say where it was and why it is here."""
    event_id = f"{segment.shard}:{segment.ordinal}"
    try:
        key = key_bytes({name: item[name] for name in context.key})
    except (PoisonError, KeyError):
        key = event_id.encode()
    headers = [
        ("ce_id", event_id.encode()),
        ("ce_source", f"urn:dynamodb:{context.source.region}:{context.source.table}".encode()),
        ("ce_shard", segment.shard.encode()),
        ("ce_ordinal", b"%d" % segment.ordinal),
        ("ce_sequence", b"0"),
        ("ce_epoch", b"%d" % segment.epoch),
        ("dead_letter_stage", SNAPSHOT_STAGE.encode()),
        ("dead_letter_reason", str(error).encode()),
        ("dead_letter_path", error.path.encode()),
        ("content-type", b"application/json"),
    ]
    return key, orjson.dumps(dict(item), default=_base64), headers, at_ms


def _base64(value: Any) -> str:
    return base64_text(binary(value))


def _event(kind: ControlKind, segment: Segment, context: RowContext, at_ms: int, *, reason: str = "") -> ControlEvent:
    return ControlEvent(
        kind=kind,
        feed=context.source.feed,
        at_ms=at_ms,
        shard=segment.shard,
        epoch=segment.epoch,
        ordinal=segment.ordinal,
        reason=reason,
    )
