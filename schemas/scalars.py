"""Converters of one field: a DynamoDB attribute to the field's Avro value and back, compiled once for a schema.

``read`` returns a value only if ``write`` gives back the very same attribute. Else it raises :class:`Kept` with the
nearest true value (the record keeps the attribute itself), :class:`Unfit` when the type has none, or poison when the
attribute is of another type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.attributes import Attribute, base64_text, binary, malformed, wrong_type
from schemas.errors import ConfigError, PoisonError
from schemas.numbers import is_number, plain


class Kept(Exception):  # noqa: N818  # not an error: the value is true, but the attribute's letters must be kept beside it
    """The field takes ``value``; the attribute itself goes to the record's ``extra``."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class Unfit(PoisonError):  # noqa: N818  # poison unless the field may be null
    """The attribute has the right type, but no value of the field's type says the same."""

    def __init__(self, message: str) -> None:
        super().__init__(
            message, hint="make the field nullable or wider in the table's .avsc: then such a value is kept under extra"
        )


@dataclass(frozen=True, slots=True)
class Converter:
    """Both directions of one field."""

    read: Callable[[Any], Any]
    write: Callable[[Any], Attribute]


def _read_text(attribute: Any) -> Any:
    value = attribute.get("S")
    if value.__class__ is str and len(attribute) == 1:
        return value
    raise wrong_type("S", attribute)


def _read_flag(attribute: Any) -> Any:
    value = attribute.get("BOOL")
    if value.__class__ is bool and len(attribute) == 1:
        return value
    raise wrong_type("BOOL", attribute)


def _read_binary(attribute: Any) -> Any:
    if "B" not in attribute or len(attribute) != 1:
        raise wrong_type("B", attribute)
    given = attribute["B"]
    value = binary(given)
    if isinstance(given, str) and base64_text(value) != given:
        raise Kept(value)
    return value


TEXT = Converter(_read_text, lambda value: {"S": value})
FLAG = Converter(_read_flag, lambda value: {"BOOL": value})
BINARY = Converter(_read_binary, lambda value: {"B": base64_text(value)})


def fixed(size: int) -> Converter:
    """Binary of exactly ``size`` bytes."""

    def read(attribute: Any) -> Any:
        value = _read_binary(attribute)
        if len(value) != size:
            raise Unfit(f"binary of {size} bytes was expected, this has {len(value)}")
        return value

    return Converter(read, BINARY.write)


def enum(symbols: frozenset[str], default: str | None) -> Converter:
    """Text out of ``symbols``; other text becomes ``default``, with the text itself kept."""

    def read(attribute: Any) -> Any:
        value = attribute.get("S")
        if value in symbols and len(attribute) == 1:
            return value
        if value.__class__ is not str or len(attribute) != 1:
            raise wrong_type("S", attribute)
        if default is None:
            raise Unfit(f"{value!r} is none of {', '.join(sorted(symbols))}, and the enum has no default")
        raise Kept(default)

    return Converter(read, lambda value: {"S": value})


def integer(bits: int) -> Converter:
    """A whole number of 32 or 64 bits."""
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1

    def read(attribute: Any) -> Any:
        text = attribute.get("N")
        try:
            value = int(text)
        except (TypeError, ValueError):
            value = _whole(_number(attribute))
        if not low <= value <= high:
            raise Unfit(f"{text} does not fit in {bits} bits")
        if str(value) != text or len(attribute) != 1:
            _number(attribute)
            raise Kept(value)
        return value

    return Converter(read, lambda value: {"N": str(value)})


def decimal(precision: int, scale: int) -> Converter:
    """A number with up to ``scale`` decimals and ``precision`` digits, as :class:`decimal.Decimal`."""
    fraction = rf"(?:\.[0-9]{{0,{scale - 1}}}[1-9])?" if scale else ""
    whole_digits = precision - scale
    match = re.compile(rf"(?:(?!-0\Z)-?(?:0|[1-9][0-9]{{0,{max(whole_digits - 1, 0)}}}){fraction})\Z").match

    def read(attribute: Any) -> Any:
        text = attribute.get("N")
        if text.__class__ is str and match(text) and len(attribute) == 1:
            return Decimal(text)
        value = _number(attribute)
        exact = Decimal(plain(value))
        exponent = exact.as_tuple().exponent
        if not isinstance(exponent, int) or -exponent > scale or exact.adjusted() >= whole_digits:
            raise Unfit(f"{text} does not fit in {precision} digits with {scale} decimals")
        raise Kept(exact)

    return Converter(read, lambda value: {"N": plain(value)})


def _number(attribute: Any) -> Decimal:
    text = attribute.get("N")
    if text is None or len(attribute) != 1:
        raise wrong_type("N", attribute)
    if text.__class__ is not str or not is_number(text):
        raise malformed("N holds no number as text")
    return Decimal(text)


def _whole(value: Decimal) -> int:
    """The number as an integer (an exponent has four digits at most, so it stays small)."""
    if value != value.to_integral_value():
        raise Unfit(f"{value} is not a whole number")
    return int(value)


def scalar_converter(schema: str | Mapping[str, Any]) -> Converter | None:
    """The converter of a field that is no list, map or record; None when it is one of those.

    Raises:
        ConfigError: an image cannot have such a field.
    """
    kind, more = (schema, {}) if isinstance(schema, str) else (str(schema["type"]), schema)
    if more.get("logicalType") == "decimal" and kind in {"bytes", "fixed"}:
        return decimal(int(more["precision"]), int(more.get("scale", 0)))
    match kind:
        case "string":
            return TEXT
        case "boolean":
            return FLAG
        case "bytes":
            return BINARY
        case "int":
            return integer(32)
        case "long":
            return integer(64)
        case "fixed":
            return fixed(int(more["size"]))
        case "enum":
            return enum(frozenset(more["symbols"]), more.get("default"))
        case "float" | "double":
            raise ConfigError(
                f"an image has no {kind} fields: DynamoDB's numbers are decimal, and a float would change them",
                hint='use {"type": "bytes", "logicalType": "decimal", "precision": …, "scale": …}, or long',
            )
    return None
