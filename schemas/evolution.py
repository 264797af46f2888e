"""Whether a changed schema can live beside the records and readers that exist: the compatibility gate.

Avro's schema resolution (specification 1.12), stricter where resolution would succeed and mean something else: the
scale of a decimal, the unit of a time, the key of a table. Every refusal is a sentence that names the field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.resolution import Clash, clashes


class Compatibility(StrEnum):
    """What a new schema must keep. Named as registries name it."""

    NONE = "NONE"
    """Nothing."""
    BACKWARD = "BACKWARD"
    """Readers with the new schema read records of the last one."""
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    """Readers with the new schema read records of every earlier one: replay from the archive needs this."""
    FORWARD = "FORWARD"
    """Readers with the last schema read records of the new one."""
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    """Readers with any earlier schema read records of the new one."""
    FULL = "FULL"
    """Both, for the last one."""
    FULL_TRANSITIVE = "FULL_TRANSITIVE"
    """Both, for every earlier one."""

    @property
    def backward(self) -> bool:
        """Whether the new schema must read old records."""
        return self.value.startswith(("BACKWARD", "FULL"))

    @property
    def forward(self) -> bool:
        """Whether old schemas must read new records."""
        return self.value.startswith(("FORWARD", "FULL"))

    @property
    def transitive(self) -> bool:
        """Whether all earlier schemas count, not only the last."""
        return self.value.endswith("TRANSITIVE")


@dataclass(frozen=True, slots=True)
class NamedSchema:
    """A schema with the name a person knows it by."""

    label: str
    """``release 1``, ``version 3 of orders-value``, ``HEAD~1``."""
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Incompatibility:
    """One reason why a schema cannot follow another."""

    against: str
    """Label of the earlier schema."""
    field: str
    """The field, with its record: ``changefeed.orders.Order.total``."""
    sentence: str
    """What is wrong, for a person; names the field."""


def check(
    new: Mapping[str, Any], earlier: Sequence[NamedSchema], compatibility: Compatibility
) -> tuple[Incompatibility, ...]:
    """Every reason why ``new`` cannot follow ``earlier`` (oldest first); empty when it can."""
    counted = earlier if compatibility.transitive else earlier[-1:]
    return tuple(_reasons(new, counted, compatibility))


def _reasons(
    new: Mapping[str, Any], earlier: Sequence[NamedSchema], compatibility: Compatibility
) -> Iterator[Incompatibility]:
    for old in earlier:
        if compatibility is not Compatibility.NONE:
            yield from (_reason(old, clash, "") for clash in _key_clashes(new, old.schema))
        if compatibility.backward:
            told = f"a reader with the new schema could not read records of {old.label}"
            yield from (_reason(old, clash, told) for clash in clashes(reader=new, writer=old.schema))
        if compatibility.forward:
            told = f"a reader with {old.label} could not read records of the new schema"
            yield from (_reason(old, clash, told) for clash in clashes(reader=old.schema, writer=new))


def _reason(old: NamedSchema, clash: Clash, told: str) -> Incompatibility:
    sentence = f"{clash.field}: {clash.reason}" + (f" ({told})" if told else "")
    return Incompatibility(old.label, clash.field, sentence)


def _key_clashes(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Clash]:
    """A table's key never changes: key bytes, partitions and every sink's rows hang on it."""
    new_key, old_key = _key_fields(new), _key_fields(old)
    if new_key is not None and old_key is not None and new_key != old_key:
        shown = " + ".join(old_key), " + ".join(new_key)
        yield Clash(
            f"{new.get('namespace', '')}.{new['name']}.key",
            f"the key changed from {shown[0]} to {shown[1]}, and with it the partition and identity of every item",
        )


def _key_fields(schema: Mapping[str, Any]) -> list[str] | None:
    for field in schema.get("fields", ()):
        if field["name"] == "key" and isinstance(field["type"], Mapping):
            return [part["name"] for part in field["type"].get("fields", ())]
    return None
