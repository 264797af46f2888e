"""Filters at the source: which stream records become changes, and which attributes their images keep. Pure.

The law: what a filtered feed publishes is the unfiltered feed's, less what was dropped, in the same order, with dense
ordinals of its own. A record that the filter cannot judge is kept: translation then says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

from connectors.dynamodb_streams import StreamRecord
from producers.stream.filter_settings import Condition, FilterSettings, Scalar
from producers.stream.translate import OPS, is_ttl
from schemas.change import Op

Attributes = Mapping[str, Any]
Holds = Callable[[Attributes], bool]
Test = Callable[[Any], bool]


class Dropped(StrEnum):
    """Why a record was left out."""

    OP = "op"
    TTL = "ttl"
    REGION = "region"
    """Another region wrote it; the producer there publishes it."""
    CONDITION = "condition"
    """The item met the condition neither before nor after."""
    UNCHANGED = "unchanged"
    """Nothing but omitted attributes changed."""


Filter = Callable[[StreamRecord], Dropped | None]
"""Why to drop a record; None to keep it."""


def filter_of(settings: FilterSettings, *, region_attribute: str | None) -> Filter | None:
    """Compile a filter; None when it drops nothing.

    The cheap questions come first: op, time-to-live, region, condition, unchanged. The first that drops is counted.
    """
    steps = [
        step
        for step in (_by_op(settings), _by_region(settings, region_attribute), _by_condition(settings))
        if step is not None
    ]
    if settings.drop_unchanged:
        steps.append(_by_difference(settings))
    if not steps:
        return None

    def judge(record: StreamRecord) -> Dropped | None:
        try:
            for step in steps:
                if (reason := step(record)) is not None:
                    return reason
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
            return None  # malformed: a dead letter tells of it
        return None

    return judge


def item_filter(settings: FilterSettings) -> Holds:
    """Whether a row of a first load meets the condition."""
    return (lambda _: True) if settings.where is None else holds(settings.where)


def without(omit: frozenset[str]) -> Callable[[Attributes], Attributes]:
    """An image less the omitted attributes."""
    return lambda image: {name: value for name, value in image.items() if name not in omit}


def holds(condition: Condition) -> Holds:
    """Compile a condition."""
    if condition.attribute is None:
        return _group(condition)
    name, test = condition.attribute, _test(condition)
    return lambda image: test(image.get(name))


def needed_but_omitted(settings: FilterSettings, image: Mapping[str, Any]) -> tuple[str, ...]:
    """Omitted attributes whose field in the image schema cannot be null: every record would be a dead letter."""
    required = {
        str(field.get("attribute", field["name"])) for field in image["fields"] if not isinstance(field["type"], list)
    }
    return tuple(name for name in settings.omit if name in required)


def _group(condition: Condition) -> Holds:
    if condition.all is not None:
        parts = [holds(part) for part in condition.all]
        return lambda image: all(part(image) for part in parts)
    if condition.any is not None:
        parts = [holds(part) for part in condition.any]
        return lambda image: any(part(image) for part in parts)
    parts = [holds(part) for part in condition.none or ()]
    return lambda image: not any(part(image) for part in parts)


def _test(condition: Condition) -> Test:
    if condition.exists is not None:
        wanted = condition.exists
        return lambda attribute: (attribute is not None) is wanted
    if condition.starts_with is not None:
        start = condition.starts_with
        return lambda attribute: attribute is not None and attribute.get("S", "").startswith(start)
    if condition.equals is not None:
        return _equal(condition.equals)
    if condition.one_of is not None:
        tests = [_equal(value) for value in condition.one_of]
        return lambda attribute: any(test(attribute) for test in tests)
    return _ordered(condition)


def _equal(value: Scalar) -> Test:
    tag, wanted = _typed(value)
    if tag == "N":
        return lambda attribute: (found := _value(attribute, "N")) is not None and Decimal(found) == wanted
    return lambda attribute: _value(attribute, tag) == wanted


def _ordered(condition: Condition) -> Test:
    comparisons: tuple[tuple[Any, Callable[[Any, Any], bool]], ...] = (
        (condition.greater, lambda found, bound: found > bound),
        (condition.at_least, lambda found, bound: found >= bound),
        (condition.less, lambda found, bound: found < bound),
        (condition.at_most, lambda found, bound: found <= bound),
    )
    ((value, compare),) = [(value, compare) for value, compare in comparisons if value is not None]
    tag, bound = _typed(value)
    if tag == "N":
        return lambda attribute: (found := _value(attribute, "N")) is not None and compare(Decimal(found), bound)
    # the order of code points is that of UTF-8 bytes, which DynamoDB sorts by
    return lambda attribute: (found := _value(attribute, "S")) is not None and compare(found, bound)


def _value(attribute: Any, tag: str) -> Any:
    """The attribute's value if it is there and of that type, else None; what is no attribute value raises."""
    return None if attribute is None else attribute.get(tag)


def _typed(value: Scalar) -> tuple[str, Any]:
    """DynamoDB's type of a configured value, and the value to compare with."""
    if isinstance(value, bool):
        return "BOOL", value
    if isinstance(value, str):
        return "S", value
    return "N", Decimal(str(value))  # the letters of the file, not the double nearest to them


def _by_op(settings: FilterSettings) -> Filter | None:
    dropped = frozenset(OPS) - {name for name, op in OPS.items() if op.value in settings.ops}
    without_ttl = settings.ttl_deletes == "drop"
    if not dropped and not without_ttl:
        return None

    def step(record: StreamRecord) -> Dropped | None:
        if record["eventName"] in dropped:
            return Dropped.OP
        return Dropped.TTL if without_ttl and is_ttl(record) else None

    return step


def _by_region(settings: FilterSettings, attribute: str | None) -> Filter | None:
    region, keep_unnamed = settings.only_written_in, settings.unnamed_region == "keep"
    if region is None or attribute is None:
        return None

    def step(record: StreamRecord) -> Dropped | None:
        data = record["dynamodb"]
        # a delete's only image names the region of the item's last write
        image = data["OldImage"] if record["eventName"] == "REMOVE" else data["NewImage"]
        named = image.get(attribute, {}).get("S")
        return None if named == region or (named is None and keep_unnamed) else Dropped.REGION

    return step


def _by_condition(settings: FilterSettings) -> Filter | None:
    if settings.where is None:
        return None
    meets = holds(settings.where)

    def step(record: StreamRecord) -> Dropped | None:
        data = record["dynamodb"]
        images = (data.get("NewImage"), data.get("OldImage"))
        return None if any(image is not None and meets(image) for image in images) else Dropped.CONDITION

    return step


def _by_difference(settings: FilterSettings) -> Filter:
    strip = without(frozenset(settings.omit))

    def step(record: StreamRecord) -> Dropped | None:
        if OPS[record["eventName"]] is not Op.UPDATE:
            return None
        data = record["dynamodb"]
        return Dropped.UNCHANGED if strip(data["OldImage"]) == strip(data["NewImage"]) else None

    return step
