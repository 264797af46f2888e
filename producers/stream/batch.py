"""What a transaction holds: for a page of one shard, its changes, dead letters, control events and the new position.

Pure: nothing is sent here. The position is saved for exactly what stands beside it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace

import orjson

from connectors.dynamodb_streams import Page, StreamRecord, latest_cut_ms
from producers.stream.filter import Dropped, Filter
from producers.stream.ports import Headers
from producers.stream.translate import Codec, Translate, occurred_at_ms_of, sequence_of
from schemas.control import ControlEvent, ControlKind
from schemas.errors import PoisonError
from schemas.headers import headers_of
from schemas.key import key_bytes
from schemas.position import Position, ShardState

Outgoing = tuple[bytes, bytes, Headers, int]
"""Key, value, headers, timestamp in ms."""


@dataclass(slots=True)
class Content:
    """What one page puts into a transaction."""

    position: Position
    """The position that the page reaches."""
    changes: list[Outgoing] = field(default_factory=list)
    dead: list[Outgoing] = field(default_factory=list)
    control: list[ControlEvent] = field(default_factory=list)
    bytes: int = 0
    skipped: int = 0
    """Records left out: read before (at or below the position), or older than the start."""
    dropped: dict[Dropped, int] = field(default_factory=dict)
    """Records that the filter left out, by reason: they take no ordinal."""


@dataclass(frozen=True, slots=True)
class PageContext:
    """What composing a page needs to know beside the page."""

    feed: str
    slot: int
    epoch: int
    captured_at_ms: int
    codec: Codec
    translate: Translate
    record_max_bytes: int
    """A change whose value is larger is a dead letter: Kafka would refuse it."""
    drops: Filter | None = None
    """The filter at the source."""


def compose(page: Page, position: Position, context: PageContext) -> Content:
    """The content for ``page``, which follows ``position``. A record that cannot become a change is a dead letter."""
    content = Content(position)
    sequence = -1 if position.sequence is None else position.sequence
    ordinal, cut_ms, size = position.ordinal, latest_cut_ms(position.start), 0
    changes, captured_at_ms, begun = content.changes, context.captured_at_ms, False
    translate, encode, drops = context.translate, context.codec.encode, context.drops
    for record in page.records:
        number = sequence_of(record)
        if number <= sequence or (cut_ms and occurred_at_ms_of(record) < cut_ms):
            content.skipped += 1
            sequence = max(sequence, number)
            continue
        sequence, begun = number, True
        if drops is not None and (reason := drops(record)) is not None:
            content.dropped[reason] = content.dropped.get(reason, 0) + 1
            continue
        ordinal += 1
        try:
            change = translate(record, number, ordinal, captured_at_ms)
            key, value = key_bytes(change.key), encode(change)
            if len(value) > context.record_max_bytes:
                raise PoisonError(f"the change has {len(value)} bytes", hint="raise the topic's and clients' limits")
        except PoisonError as error:
            _refuse(content, record, error, ordinal, context)
            continue
        size += len(value)
        changes.append((key, value, headers_of(change), change.occurred_at_ms))
    content.bytes = size
    # once a record behind the start was read, the start has done its part
    behind = replace(position, start="") if begun else position
    content.position = _reached(page, behind, sequence, ordinal, context)
    if page.next_token is None:
        content.control.append(
            _event(
                ControlKind.SHARD_END, content.position, context, ordinal=ordinal, sequence=content.position.sequence
            )
        )
    return content


def _refuse(content: Content, record: StreamRecord, error: PoisonError, ordinal: int, context: PageContext) -> None:
    """Add a dead letter, whole, and the control event that accounts for its ordinal."""
    number, position = sequence_of(record), content.position
    content.dead.append(dead_letter(record, error, position, ordinal, context))
    content.control.append(
        _event(ControlKind.REFUSED, position, context, ordinal=ordinal, sequence=number, reason=str(error))
    )


def dead_letter(
    record: StreamRecord, error: PoisonError, position: Position, ordinal: int, context: PageContext
) -> Outgoing:
    """The stream record as JSON (binary as base64), with headers that say where it was and why it is here."""
    number = sequence_of(record)
    event_id = f"{position.shard}:{number}"
    try:
        key = key_bytes(record["dynamodb"]["Keys"])
    except (PoisonError, KeyError):
        key = event_id.encode()
    headers = [
        ("ce_id", event_id.encode()),
        ("ce_source", position.stream.encode()),
        ("ce_shard", position.shard.encode()),
        ("ce_ordinal", b"%d" % ordinal),
        ("ce_sequence", b"%d" % number),
        ("ce_epoch", b"%d" % context.epoch),
        ("dead_letter_stage", b"producer"),
        ("dead_letter_reason", str(error).encode()),
        ("dead_letter_path", error.path.encode()),
        ("content-type", b"application/json"),
    ]
    return key, orjson.dumps(record, default=_base64), headers, context.captured_at_ms


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _reached(page: Page, position: Position, sequence: int, ordinal: int, context: PageContext) -> Position:
    return replace(
        position,
        state=ShardState.FINISHED if page.next_token is None else ShardState.READING,
        sequence=None if sequence < 0 else sequence,
        ordinal=ordinal,
        epoch=context.epoch,
        at_ms=context.captured_at_ms,
    )


def _event(
    kind: ControlKind, position: Position, context: PageContext, *, ordinal: int, sequence: int | None, reason: str = ""
) -> ControlEvent:
    return ControlEvent(
        kind=kind,
        feed=context.feed,
        at_ms=context.captured_at_ms,
        stream=position.stream,
        shard=position.shard,
        parent=position.parent,
        epoch=context.epoch,
        slot=context.slot,
        ordinal=ordinal,
        sequence=sequence,
        reason=reason,
    )
