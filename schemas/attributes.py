"""DynamoDB's attribute values as JSON: ``{"S": "text"}``, ``{"N": "12.5"}``, ``{"B": "base64"}``, sets, lists and maps.

Inside this project an attribute is DynamoDB JSON with binary as base64 text, as the service sends it. boto3 wants and
gives ``bytes`` there: :func:`with_bytes` goes to boto3; from boto3 nothing is needed, since everything here takes
``bytes`` as well.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from schemas.errors import PoisonError
from schemas.numbers import is_number

Attribute = Mapping[str, Any]
"""One attribute value: a mapping of one type tag to its value."""

MAX_DEPTH = 32
"""DynamoDB nests lists and maps 32 deep at most."""


def wrong_type(wanted: str, attribute: Any) -> PoisonError:
    """The error for an attribute of another type than the schema's."""
    found = next(iter(attribute), "nothing") if isinstance(attribute, Mapping) else type(attribute).__name__
    return PoisonError(
        f"an attribute of DynamoDB type {wanted} was expected, this one is {found}",
        hint="mend the writer, or change the field's type in the table's .avsc",
    )


def malformed(reason: str) -> PoisonError:
    """The error for what is no attribute value at all."""
    return PoisonError(
        f"not a DynamoDB attribute value: {reason}",
        hint="the record is not DynamoDB JSON; look at it whole in the dead letters",
    )


def to_text(attribute: Attribute) -> str:
    """An attribute as compact JSON text, after checking that it is one.

    Raises:
        PoisonError: it is malformed.
    """
    check(attribute)
    try:
        return orjson.dumps(attribute, default=_base64_of).decode()
    except TypeError as error:  # text that is not Unicode: half of a surrogate pair
        raise malformed(str(error)) from error


def from_text(text: str) -> dict[str, Any]:
    """The inverse of :func:`to_text`."""
    attribute: dict[str, Any] = orjson.loads(text)
    return attribute


def binary(value: Any) -> bytes:
    """The bytes of a binary value, given as bytes (boto3) or as base64 text (the service's JSON).

    Raises:
        PoisonError: neither.
    """
    if isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise malformed(f"binary is not base64: {error}") from error
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise malformed(f"B holds {type(value).__name__}")


def base64_text(value: bytes) -> str:
    """Bytes as DynamoDB JSON writes them."""
    return base64.b64encode(value).decode()


def with_bytes(item: Mapping[str, Attribute]) -> dict[str, Any]:
    """An item (or key) as boto3 wants it: the same, with ``bytes`` for binary values at every depth."""
    return {name: _with_bytes(attribute) for name, attribute in item.items()}


def check(attribute: Any, depth: int = 0) -> None:
    """Whether ``attribute`` is a well-formed attribute value, at every depth.

    Raises:
        PoisonError: it is not; ``path`` names the place below the attribute (``[2].colour``).
    """
    if not isinstance(attribute, Mapping) or len(attribute) != 1:
        raise malformed("it is not a mapping of one type to a value")
    ((tag, value),) = attribute.items()
    checker = _CHECKS.get(tag)
    if checker is None:
        raise malformed(f"there is no type {tag!r}")
    if depth > MAX_DEPTH:
        raise malformed(f"it is nested more than {MAX_DEPTH} deep")
    checker(value, depth)


def _check_text(value: Any, _: int) -> None:
    if not isinstance(value, str):
        raise malformed("S holds no text")


def _check_number(value: Any, _: int) -> None:
    if not isinstance(value, str) or not is_number(value):
        raise malformed("N holds no number as text")


def _check_binary(value: Any, _: int) -> None:
    binary(value)


def _check_flag(value: Any, _: int) -> None:
    if not isinstance(value, bool):
        raise malformed("BOOL or NULL holds neither true nor false")


def _check_list(value: Any, depth: int) -> None:
    if not isinstance(value, list):
        raise malformed("L holds no list")
    for index, element in enumerate(value):
        try:
            check(element, depth + 1)
        except PoisonError as error:
            raise below(f"[{index}]", error) from error


def _check_map(value: Any, depth: int) -> None:
    if not isinstance(value, Mapping):
        raise malformed("M holds no map")
    for name, element in value.items():
        try:
            check(element, depth + 1)
        except PoisonError as error:
            raise below(f".{name}", error) from error


def _check_set_of(check_element: Callable[[Any, int], None], tag: str) -> Callable[[Any, int], None]:
    def check_set(value: Any, depth: int) -> None:
        if not isinstance(value, list):
            raise malformed(f"{tag} holds no list")
        for element in value:
            check_element(element, depth)

    return check_set


_CHECKS: dict[str, Callable[[Any, int], None]] = {
    "S": _check_text,
    "N": _check_number,
    "B": _check_binary,
    "BOOL": _check_flag,
    "NULL": _check_flag,
    "L": _check_list,
    "M": _check_map,
    "SS": _check_set_of(_check_text, "SS"),
    "NS": _check_set_of(_check_number, "NS"),
    "BS": _check_set_of(_check_binary, "BS"),
}


def below(step: str, error: PoisonError) -> PoisonError:
    """The same error, with its path seen from one step further out (``.name`` or ``[index]``)."""
    return PoisonError(str(error), hint=error.hint, path=f"{step}{error.path}")


def _with_bytes(attribute: Attribute) -> Attribute:
    ((tag, value),) = attribute.items()
    if tag == "B":
        return {"B": binary(value)}
    if tag == "BS":
        return {"BS": [binary(element) for element in value]}
    if tag == "L":
        return {"L": [_with_bytes(element) for element in value]}
    if tag == "M":
        return {"M": with_bytes(value)}
    return attribute


def _base64_of(value: Any) -> str:
    """The hook of orjson for what is not JSON: boto3's bytes."""
    return base64_text(binary(value))
