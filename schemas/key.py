"""The bytes of a Kafka record's key: one byte string for one item, whoever computes it.

The rule (docs/events.md states it for readers in other languages):

* one attribute: a string as its UTF-8 bytes; a number as its canonical text (:func:`schemas.numbers.canonical`:
  ``12.5``, never ``12.50`` or ``1.25E1``); binary as the bytes themselves;
* partition and sort key: a JSON array of two strings, in the order of the attributes' names, no spaces, UTF-8 not
  escaped; a number as its canonical text, binary as base64 with padding: ``["c-1","2026"]``.

The partition follows from these bytes by murmur2, as in Kafka's own Java client.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson

from schemas.compose import key_fields
from schemas.errors import PoisonError
from schemas.numbers import canonical


def key_bytes(key: Mapping[str, Any]) -> bytes:
    """The canonical bytes of an item's primary key, given as DynamoDB JSON.

    Raises:
        PoisonError: an attribute is not a string, number or binary value, or there are none or more than two.
    """
    if len(key) == 1:
        ((name, attribute),) = key.items()
        scalar = _scalar(name, attribute)
        return scalar if isinstance(scalar, bytes) else scalar.encode()
    if len(key) != 2:
        raise PoisonError(
            f"a primary key has one or two attributes, this one has {len(key)}",
            hint="compare the record with the table's key schema",
            path="key",
        )
    scalars = [_scalar(name, key[name]) for name in sorted(key)]
    return orjson.dumps([base64.b64encode(part).decode() if isinstance(part, bytes) else part for part in scalars])


def key_text(key: Mapping[str, Any]) -> str:
    """The key as text, for headers and people: :func:`key_bytes` as UTF-8; a lone binary key as base64."""
    if len(key) == 1:
        ((name, attribute),) = key.items()
        scalar = _scalar(name, attribute)
        return base64.b64encode(scalar).decode() if isinstance(scalar, bytes) else scalar
    return key_bytes(key).decode()


def key_faults(image: Mapping[str, Any], types: Mapping[str, str]) -> tuple[str, ...]:
    """Key fields of an image schema that cannot hold the table's key attributes, a sentence each.

    Args:
        image: the schema of the table's items.
        types: DynamoDB's type (S, N or B) of each of the table's key attributes.

    Raises:
        ConfigError: the schema does not say which fields are its key.
    """
    faults = []
    for field in key_fields(image):
        name = str(field.get("attribute", field["name"]))
        found, wanted = types.get(name, ""), _dynamodb_type(field["type"])
        if found and found != wanted:
            faults.append(
                f"the key attribute {name!r} is {_TYPES[found]}, but the schema's field {field['name']!r} "
                f"holds {_TYPES[wanted]}"
            )
    return tuple(faults)


def _dynamodb_type(schema: Any) -> str:
    """The DynamoDB type of the values that a key field's Avro type holds."""
    kind = schema.get("type") if isinstance(schema, Mapping) else schema
    if kind in {"int", "long"} or (isinstance(schema, Mapping) and schema.get("logicalType") == "decimal"):
        return "N"
    return "B" if kind == "bytes" else "S"


_TYPES = {"S": "text (S)", "N": "a number (N)", "B": "binary (B)"}


def _scalar(name: str, attribute: Any) -> str | bytes:
    """A key attribute's canonical value: text for S and N, bytes for B (as boto3 gives it, or as base64 text)."""
    try:
        ((tag, value),) = attribute.items()
        if tag == "S" and isinstance(value, str):
            value.encode()
            return value
        if tag == "N" and isinstance(value, str):
            return canonical(value)
        if tag == "B":
            return base64.b64decode(value, validate=True) if isinstance(value, str) else bytes(value)
    except (AttributeError, TypeError, ValueError, binascii.Error) as error:
        raise PoisonError(
            f"key attribute {name!r} is malformed: {error}", hint=_KEY_HINT, path=f"key.{name}"
        ) from error
    raise PoisonError(f"key attribute {name!r} is not S, N or B", hint=_KEY_HINT, path=f"key.{name}")


_KEY_HINT = "a key attribute is {'S': text}, {'N': number as text} or {'B': bytes}"
