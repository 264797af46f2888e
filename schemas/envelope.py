"""The bytes of a change's envelope: all fields before the images, which fastavro writes.

A record in Avro is the encoding of its fields, one behind the other, so the parts that all changes of a shard share are
made once, and the few numbers and texts beside them need no walk over a schema: a third of what a change takes to
encode. That these are the bytes which fastavro writes for ``avro/change.avsc`` is a law among the tests.
Source: Avro 1.12 specification, "Binary Encoding" (zig-zag variable-length numbers, texts with their length).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any

from fastavro import schemaless_writer

from schemas.change import Change, Op

SHARDS_KEPT = 4_096
"""Shards whose common bytes are kept: more than one process reads at a time."""

_OPS = ("c", "u", "d", "r")
"""The symbols of the enum, in its order."""
_SMALL = 128
_FALSE, _TRUE = b"\x00", b"\x01"
_NULL, _SECOND = b"\x00", b"\x02"
"""Branches of a union, by their place in it."""


def long_bytes(number: int) -> bytes:
    """An Avro ``long`` (or ``int``)."""
    rest = (number << 1) ^ (number >> 63)
    if rest < _SMALL:
        return _ONE[rest]
    out = bytearray()
    while rest >= _SMALL:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def text_bytes(text: str) -> bytes:
    """An Avro ``string``."""
    raw = text.encode()
    return long_bytes(len(raw)) + raw


_ONE = tuple(bytes((value,)) for value in range(_SMALL))
_OP_BYTES = {Op(symbol): long_bytes(place) for place, symbol in enumerate(_OPS)}
_time_bytes = lru_cache(maxsize=4_096)(long_bytes)
"""Times repeat: DynamoDB's are whole seconds, capture is the same for a whole page."""


@lru_cache(maxsize=SHARDS_KEPT)
def _place(table: str, region: str, stream: str, shard: str) -> bytes:
    return b"".join(map(text_bytes, (table, region, stream, shard)))


def envelope_writer(
    key_schema: Any, to_key: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> Callable[[Change], bytes]:
    """The writer of one table's envelopes.

    Args:
        key_schema: the key's record, as fastavro wants it.
        to_key: the key as that record.
    """

    def write_key(key: Mapping[str, Any]) -> bytes:
        out = BytesIO()
        schemaless_writer(out, key_schema, to_key(key))
        return out.getvalue()

    def write(change: Change) -> bytes:
        """Raises PoisonError when the key is not the schema's, ValueError for text that is no Unicode."""
        source = change.source
        writer = source.writing_region
        sequence = text_bytes(str(source.sequence))
        own = sequence if change.version.sequence == source.sequence else text_bytes(str(change.version.sequence))
        return b"".join(
            (
                _OP_BYTES[change.op],
                write_key(change.key),
                long_bytes(change.version.epoch),
                own,
                _place(source.table, source.region, source.stream, source.shard),
                sequence,
                long_bytes(source.ordinal),
                text_bytes(source.event_id),
                _TRUE if source.ttl else _FALSE,
                _NULL if writer is None else _SECOND + text_bytes(writer),
                _time_bytes(change.occurred_at_ms),
                _time_bytes(change.captured_at_ms),
            )
        )

    return write
