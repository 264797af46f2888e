"""DynamoDB's numbers as text: up to 38 digits, magnitudes from 1E-130 to 9.9E+125, never a float."""

from __future__ import annotations

import re
from decimal import Decimal

_PLAIN_INTEGER = re.compile(r"(?:0|-?[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?\Z")


def is_number(text: str) -> bool:
    """Whether DynamoDB could have meant a number by this text (no infinity, no NaN, no underscores, no spaces)."""
    return _NUMBER.match(text) is not None


def plain(value: Decimal) -> str:
    """The canonical text of a number: plain notation, no exponent, no needless zero or sign: ``12.5``, ``-3``, ``0``.

    DynamoDB itself compares numbers by value and trims zeros; this rule gives one text for one value.
    """
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def canonical(text: str) -> str:
    """The canonical text (:func:`plain`) of a number's text.

    Raises:
        ValueError: the text is no number.
    """
    if _PLAIN_INTEGER.match(text):
        return text
    if not is_number(text):
        raise ValueError(f"{text!r} is not a number")
    return plain(Decimal(text))
