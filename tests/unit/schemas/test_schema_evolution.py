"""The compatibility gate: what it refuses, in a sentence that names the field, and what it lets pass."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import fastavro
import pytest

from schemas import bundled
from schemas.change import Change
from schemas.codec import ChangeCodec, Depth
from schemas.compose import change_schema, wire_schema
from schemas.evolution import Compatibility, NamedSchema, check
from schemas.framing import SchemaId, SingleObject, prefix_of
from schemas.released import ReleasedSchemas, released

Edit = Callable[[dict[str, Any]], None]


def _field(image: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(field for field in image["fields"] if field["name"] == name)
    return found


def _line(image: dict[str, Any]) -> dict[str, Any]:
    line: dict[str, Any] = _field(image, "lines")["type"]["items"]
    return line


def _set(name: str, part: str, value: Any) -> Edit:
    return lambda image: _field(image, name).__setitem__(part, value)


def _drop(name: str) -> Edit:
    return lambda image: image["fields"].remove(_field(image, name))


def _add(field: dict[str, Any]) -> Edit:
    return lambda image: image["fields"].append(field)


def _edited(edit: Edit) -> dict[str, Any]:
    image = copy.deepcopy(bundled.load("order"))
    edit(image)
    return image


def _sentences(edit: Edit, compatibility: Compatibility) -> list[str]:
    old = NamedSchema("release 1", change_schema(bundled.load("order")))
    return [reason.sentence for reason in check(change_schema(_edited(edit)), [old], compatibility)]


def _symbols(*symbols: str) -> dict[str, Any]:
    return {"type": "enum", "name": "Status", "symbols": list(symbols)}


def _money(precision: int, scale: int) -> list[Any]:
    return ["null", {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}]


REFUSED: list[tuple[str, Edit, str]] = [
    (
        "new required field",
        _add({"name": "vat", "type": "string"}),
        "changefeed.orders.Order.vat: the field has no default",
    ),
    ("type changed", _set("revision", "type", "string"), "Order.revision: its type changed from long to string"),
    ("narrowed", _set("revision", "type", "int"), "Order.revision: its type changed from long to int"),
    ("scale", _set("total", "type", _money(18, 3)), "Order.total: its decimals changed from 2 to 3"),
    ("digits", _set("total", "type", _money(9, 2)), "Order.total: its digits shrank from 18 to 9"),
    (
        "no longer null",
        lambda image: _field(image, "total").update(type=_money(18, 2)[1], default=""),
        "Order.total: null was allowed before",
    ),
    (
        "unit of time",
        _set("updatedAt", "type", {"type": "long", "logicalType": "timestamp-micros"}),
        "Order.updatedAt: its meaning changed from timestamp-millis to timestamp-micros",
    ),
    (
        "enum without default",
        _set("status", "type", _symbols("created", "paid")),
        "Order.status: its enum lost unknown, packed, shipped",
    ),
    (
        "in a line",
        lambda image: _line(image)["fields"].insert(0, {"name": "vat", "type": "long"}),
        "changefeed.orders.Line.vat: the field has no default",
    ),
    ("list to text", _set("lines", "type", "string"), "Order.lines: its type changed from array to string"),
    ("renamed", _set("currency", "name", "currencyCode"), "Order.currencyCode: the field has no default"),
    ("record renamed", lambda image: image.__setitem__("name", "Bestellung"), "OrderChange"),
]
ALLOWED: list[tuple[str, Edit]] = [
    ("nothing", lambda image: None),
    ("doc", _set("total", "doc", "Other words.")),
    ("new field with a default", _add({"name": "vat", "type": ["null", "string"], "default": None})),
    ("field dropped", _drop("currency")),
    ("widened", lambda image: _field(_line(image) and image, "revision").__setitem__("type", "long")),
    ("more digits", _set("total", "type", _money(20, 2))),
    ("made nullable", _set("customerId", "type", ["string", "null"])),
    (
        "new status",
        _set(
            "status",
            "type",
            _symbols("unknown", "created", "paid", "packed", "shipped", "delivered", "cancelled", "returned"),
        ),
    ),
    (
        "renamed with an alias",
        lambda image: _field(image, "currency").update(name="currencyCode", aliases=["currency"]),
    ),
]


@pytest.mark.parametrize("edit, sentence", [pytest.param(edit, text, id=name) for name, edit, text in REFUSED])
def test_an_incompatible_change_is_refused_in_a_sentence_that_names_the_field(edit: Edit, sentence: str) -> None:
    """Each way to break readers of old records is refused, by the name of the field."""
    sentences = _sentences(edit, Compatibility.BACKWARD_TRANSITIVE)
    assert any(sentence in told for told in sentences), sentences
    assert all("release 1" in told for told in sentences)


@pytest.mark.parametrize("edit", [pytest.param(edit, id=name) for name, edit in ALLOWED])
def test_a_compatible_change_passes(edit: Edit) -> None:
    """What readers of old records survive is let through."""
    assert _sentences(edit, Compatibility.BACKWARD_TRANSITIVE) == []


@pytest.mark.parametrize("edit", [pytest.param(edit, id=name) for name, edit in ALLOWED])
def test_what_passes_really_reads_old_records(edit: Edit, change_of: Callable[..., Change], codec: ChangeCodec) -> None:
    """A codec with the changed schema reads a value of the old one, at every depth: the gate's word holds."""

    class Old:
        def find(self, schema_id: SchemaId) -> Mapping[str, Any]:
            return codec.schema

    reader = ChangeCodec.for_image(_edited(edit), writers=Old())
    value = codec.encode(change_of())
    back = reader.decode(value)
    assert back.source == change_of().source
    assert back.after is not None
    assert back.after["orderId"] == "o-1"
    assert reader.decode(value, Depth.AFTER) == replace(back, before=None)
    assert reader.decode(value, Depth.ENVELOPE) == change_of(before=None, after=None)


STRICTER_THAN_AVRO = {"narrowed", "scale", "digits", "unit of time", "record renamed"}
"""fastavro reads these without an error: the value is another one, or the name is not compared."""


@pytest.mark.parametrize(
    "edit", [pytest.param(edit, id=name) for name, edit, _ in REFUSED if name not in STRICTER_THAN_AVRO]
)
def test_what_is_refused_really_breaks_avro_readers(
    edit: Edit, change_of: Callable[..., Change], codec: ChangeCodec
) -> None:
    """fastavro fails on old records where the gate says so (beyond that, the gate also refuses what reads but lies)."""
    change = change_of()
    assert change.after is not None
    change = replace(change, after={**change.after, "total": None, "status": "shipped"})
    value = codec.encode(change)
    with pytest.raises((fastavro.read.SchemaResolutionError, ValueError)):  # type: ignore[attr-defined]  # not in its stub
        fastavro.schemaless_reader(io.BytesIO(value[10:]), codec.schema, change_schema(_edited(edit)))


def test_forward_guards_old_readers() -> None:
    """Dropping a required field is refused forward and full, and passes backward."""
    assert _sentences(_drop("currency"), Compatibility.BACKWARD) == []
    for compatibility in (Compatibility.FORWARD, Compatibility.FULL, Compatibility.FULL_TRANSITIVE):
        (told,) = _sentences(_drop("currency"), compatibility)
        assert "Order.currency" in told
        assert "a reader with release 1" in told


def test_only_transitive_modes_look_beyond_the_last() -> None:
    """A field that release 1 lacks may be required after release 2 had it, unless all releases must be read."""
    first = NamedSchema("release 1", change_schema(bundled.load("order")))
    second = NamedSchema("release 2", change_schema(_edited(_add({"name": "vat", "type": "string", "default": ""}))))
    new = change_schema(_edited(_add({"name": "vat", "type": "string"})))
    assert check(new, [first, second], Compatibility.BACKWARD) == ()
    (reason,) = check(new, [first, second], Compatibility.BACKWARD_TRANSITIVE)
    assert reason.against == "release 1"
    assert reason.field == "changefeed.orders.Order.vat"


def test_the_key_never_changes() -> None:
    """Another key is refused in every mode but NONE, even where Avro would read it."""

    def edit(image: dict[str, Any]) -> None:
        image["key"] = ["customerId", "orderId"]

    assert any(
        "key changed from orderId to customerId + orderId" in told for told in _sentences(edit, Compatibility.FORWARD)
    )
    assert _sentences(edit, Compatibility.NONE) == []


@pytest.mark.parametrize("name", bundled.contracts())
def test_the_schema_of_this_version_can_follow_every_release(name: str) -> None:
    """The gate, on our own schemas: what is bundled now is compatible with all that was released."""
    releases = released(name)
    assert releases, "there is at least one release"
    assert check(wire_schema(bundled.load(name)), releases, Compatibility.BACKWARD_TRANSITIVE) == ()


def test_values_of_a_release_are_read_without_a_registry(change_of: Callable[..., Change], codec: ChangeCodec) -> None:
    """A codec whose schema has moved on finds the released schema in the package by its fingerprint."""
    release = released("order")[0].schema
    newer = ChangeCodec.for_image(_edited(_add({"name": "vat", "type": ["null", "string"], "default": None})))
    record: Any = fastavro.schemaless_reader(io.BytesIO(codec.encode(change_of())[10:]), codec.schema, release)
    written = io.BytesIO(prefix_of(SingleObject(), release))
    written.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(written, release, record)
    back = newer.decode(written.getvalue())
    assert back.after is not None
    assert back.after["vat"] is None
    assert ReleasedSchemas().find(SchemaId("confluent", 1)) is None
