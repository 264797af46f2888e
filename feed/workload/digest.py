"""One number for the whole content of an item, the same for the item that was written and for any copy of it.

It is taken from DynamoDB JSON, not from the event's schema: a field that a codec loses on the way changes it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Context, Decimal
from hashlib import blake2b
from typing import Any

import orjson

EXACT = Context(prec=40)
"""More than the 38 digits that DynamoDB keeps."""

ABSENT = 0
"""The digest of no item (before a create, after a delete)."""


def image_digest(attributes: Mapping[str, Any] | None) -> int:
    """64 bits over an item in DynamoDB JSON: attribute order, set order and the spelling of numbers do not matter."""
    if attributes is None:
        return ABSENT
    canonical = {name: _canonical(value) for name, value in attributes.items()}
    return digest_of_canonical(orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS))


def digest_of_canonical(body: bytes) -> int:
    """The digest of an item already written canonically: sorted keys, normalized numbers. Never ``ABSENT``."""
    return int.from_bytes(blake2b(body, digest_size=8).digest(), "big") or 1


def _canonical(value: Any) -> Any:
    ((kind, content),) = value.items()
    if kind == "N":
        content = _number(content)
    elif kind == "M":
        content = {name: _canonical(inner) for name, inner in content.items()}
    elif kind == "L":
        content = [_canonical(inner) for inner in content]
    elif kind == "NS":
        content = sorted(_number(inner) for inner in content)
    elif kind in {"SS", "BS"}:
        content = sorted(_text(inner) for inner in content)
    elif kind == "B":
        content = _text(content)
    return {kind: content}


def _number(text: str) -> str:
    """DynamoDB keeps 38 digits and drops zeros at the end; integers, the usual case, pass through."""
    if text.isdecimal() and (text == "0" or text[0] != "0"):
        return text
    return format(Decimal(text).normalize(EXACT), "f")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return base64.b64encode(bytes(content)).decode()
