"""Values of a topic from a pipe, as a person reads them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, BinaryIO

import orjson

from schemas.codec import ChangeCodec
from schemas.errors import ConfigError, PoisonError
from schemas.framing import MAX_VALUE_BYTES

_LENGTH_BYTES = 4
_TOMBSTONE = 0xFFFF_FFFF
"""kcat's length of a null value."""


def length_prefixed(source: BinaryIO) -> Iterator[bytes]:
    """Values as ``kcat -f '%R%s'`` writes them: a length of 4 bytes, big-endian, then the value.

    Raises:
        ConfigError: the stream is cut off, or is something else.
    """
    while head := source.read(_LENGTH_BYTES):
        length = int.from_bytes(head, "big")
        if length == _TOMBSTONE:
            continue
        value = source.read(length) if len(head) == _LENGTH_BYTES and length <= MAX_VALUE_BYTES else b""
        if len(value) < length or len(head) < _LENGTH_BYTES:
            raise ConfigError(
                "the input is not a series of length-prefixed values",
                hint="pipe it from: kcat -C -e -t TOPIC -f '%R%s'",
            )
        yield value


def as_json(codec: ChangeCodec, value: bytes) -> bytes:
    """One value as a line of JSON: the event's fields, decimals and binary as text; poison as its reason."""
    try:
        document: dict[str, Any] = codec.record_of(codec.decode(value))
    except PoisonError as error:
        document = {"poison": str(error), "path": error.path, "value": value.hex()}
    return orjson.dumps(document, default=_text)


def _text(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else bytes(value).hex()
