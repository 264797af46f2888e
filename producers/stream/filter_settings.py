"""What the producer leaves out at the source, as configuration: bytes between regions are what a feed costs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from schemas.settings import Settings

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
"""What an attribute is compared with: text with S, a number with N, true and false with BOOL."""
Ordered = StrictInt | StrictFloat | StrictStr
Conditions = Annotated[tuple["Condition", ...], Field(min_length=1)]

_GROUPS = ("all", "any", "none")
_TESTS = ("equals", "one_of", "exists", "starts_with", "greater", "at_least", "less", "at_most")


class Condition(Settings):
    """A condition on an item: a group of conditions, or one test of one attribute.

    A test of an attribute that is not there, or is of another type, does not hold.
    """

    all: Conditions | None = None
    """Every one of these holds."""
    any: Conditions | None = None
    """At least one of these holds."""
    none: Conditions | None = None
    """Not one of these holds."""
    attribute: str | None = None
    """The attribute that is tested: one of the item's own, not one inside a map."""
    equals: Scalar | None = None
    """It is this. Numbers are equal by value: 12.50 is 12.5."""
    one_of: Annotated[tuple[Scalar, ...], Field(min_length=1)] | None = None
    """It is one of these."""
    exists: StrictBool | None = None
    """It is there (``true``; NULL is there), or not (``false``)."""
    starts_with: str | None = None
    """Its text begins so."""
    greater: Ordered | None = None
    """It is greater: numbers by value, text by its UTF-8 bytes."""
    at_least: Ordered | None = None
    """It is this or greater."""
    less: Ordered | None = None
    """It is less."""
    at_most: Ordered | None = None
    """It is this or less."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Condition:
        groups = [name for name in _GROUPS if getattr(self, name) is not None]
        tests = [name for name in _TESTS if getattr(self, name) is not None]
        if self.attribute is None and (len(groups) != 1 or tests):
            raise ValueError(f"a condition has one of {', '.join(_GROUPS)}, or an attribute and one test of it")
        if self.attribute is not None and (len(tests) != 1 or groups):
            raise ValueError(f"the test of an attribute is one of {', '.join(_TESTS)}; join several with all")
        return self


class FilterSettings(Settings):
    """Changes and attributes that the producer leaves out. What is left out takes no ordinal, and is counted."""

    ops: Annotated[tuple[Literal["c", "u", "d"], ...], Field(min_length=1)] = ("c", "u", "d")
    """Ops that are published."""
    ttl_deletes: Literal["keep", "drop"] = "keep"
    """Deletes by DynamoDB's time-to-live."""
    where: Condition | None = None
    """Only changes of items that meet this condition, before or after the change: a change by which an item leaves the
    condition is published, so that consumers learn of it; what happens to it outside is not."""
    omit: tuple[str, ...] = ()
    """Attributes left out of both images, by their names in the table. The key, ``time_attribute`` and
    ``version_attribute`` cannot be."""
    drop_unchanged: bool = False
    """Leave out updates that change nothing but attributes of ``omit``."""
    only_written_in: str | None = None
    """Only changes written in this AWS region, as ``table.region_attribute`` says: for a global table with a producer
    in each region."""
    unnamed_region: Literal["keep", "drop"] = "keep"
    """With ``only_written_in``: changes whose item names no region. Keep them in one region's producer only."""

    @property
    def active(self) -> bool:
        """Whether anything is left out."""
        return self != FilterSettings()


Condition.model_rebuild()
