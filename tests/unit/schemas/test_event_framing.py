"""Framings: three, told apart by the first byte, byte for byte as their specifications say."""

from __future__ import annotations

import io
import json
import struct
import uuid
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pytest

from schemas import bundled
from schemas.change import Change
from schemas.codec import ChangeCodec, Depth
from schemas.errors import ConfigError, PoisonError
from schemas.framing import MAX_VALUE_BYTES, Confluent, Framing, Glue, SchemaId, SingleObject, fingerprint_of, split

VERSION_ID = uuid.UUID("0f2e9d6c-4f0e-4f7b-9c67-8f5f5b8a9e01")
FRAMINGS: list[Framing] = [SingleObject(), Confluent(1_000_042), Glue(VERSION_ID), Glue(VERSION_ID, zlib=True)]


class _OneSchema:
    """Knows one schema under every id."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        self.asked: list[SchemaId] = []

    def find(self, schema_id: SchemaId) -> Mapping[str, Any] | None:
        self.asked.append(schema_id)
        return self.schema


@pytest.mark.parametrize(
    "schema, wanted",
    [
        # Apache Avro, share/test/data/schema-tests.txt
        ('"null"', 7195948357588979594),
        ('"int"', 8247732601305521295),
        ('{"type":"fixed", "name":"foo", "size":15}', 1756455273707447556),
    ],
)
def test_fingerprints_are_those_of_the_avro_specification(schema: str, wanted: int) -> None:
    """CRC-64-AVRO of known schemas, from the specification's own test data."""
    assert fingerprint_of(json.loads(schema)) == wanted


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_every_framing_is_read_by_the_codec_that_wrote_it(change_of: Callable[..., Change], framing: Framing) -> None:
    """Each framing comes back, at every depth."""
    codec = ChangeCodec.for_image(bundled.load("order"), framing)
    value = codec.encode(change_of())
    assert codec.decode(value) == change_of()
    assert codec.decode(value, Depth.AFTER) == change_of(before=None)
    assert codec.decode(value, Depth.ENVELOPE) == change_of(before=None, after=None)


def test_all_framings_are_read_at_once_by_the_first_byte(change_of: Callable[..., Change], codec: ChangeCodec) -> None:
    """One reader takes a topic that holds all framings, asking for a foreign schema once for each id."""
    known = _OneSchema(codec.schema)
    reader = ChangeCodec.for_image(bundled.load("order"), writers=known)
    for framing in FRAMINGS * 2:
        writer = ChangeCodec.for_image(bundled.load("order"), framing)
        assert reader.decode(writer.encode(change_of())) == change_of()
    assert known.asked == [SchemaId("confluent", 1_000_042), SchemaId("glue", VERSION_ID)]


def test_the_bytes_of_each_framing(change_of: Callable[..., Change], codec: ChangeCodec) -> None:
    """Headers of the values are exactly those of the three specifications; the Avro bytes behind them are the same."""
    single, confluent, glue, packed = (
        ChangeCodec.for_image(bundled.load("order"), framing).encode(change_of()) for framing in FRAMINGS
    )
    body = single[10:]
    assert single[:10] == b"\xc3\x01" + struct.pack("<Q", fingerprint_of(codec.schema))
    assert confluent == b"\x00" + struct.pack(">I", 1_000_042) + body
    assert glue == b"\x03\x00" + VERSION_ID.bytes + body
    assert packed[:18] == b"\x03\x05" + VERSION_ID.bytes
    assert zlib.decompress(packed[18:]) == body


def test_plain_fastavro_reads_our_single_object(change_of: Callable[..., Change], codec: ChangeCodec) -> None:
    """A reader with nothing but the schema and fastavro gets typed values: decimals, UTC times, enums."""
    value = codec.encode(change_of())
    record: Any = fastavro.schemaless_reader(io.BytesIO(value[10:]), codec.schema)
    assert record["op"] == "u"
    assert record["key"] == {"orderId": "o-1"}
    assert record["after"]["total"] == Decimal("39.90")
    assert record["after"]["createdAt"] == datetime(2025, 11, 24, 16, 0, 0, 123000, tzinfo=UTC)
    assert record["after"]["extra"] == {"note": '{"S":"ring twice"}'}
    assert record["source"]["sequence"] == "123456789012345678901"


def test_we_read_single_objects_of_plain_fastavro(change_of: Callable[..., Change], codec: ChangeCodec) -> None:
    """A value that fastavro wrote from its own typed record decodes to the same change."""
    value = codec.encode(change_of())
    record: Any = fastavro.schemaless_reader(io.BytesIO(value[10:]), codec.schema)
    out = io.BytesIO()
    out.write(b"\xc3\x01" + struct.pack("<Q", fingerprint_of(codec.schema)))
    fastavro.schemaless_writer(out, fastavro.parse_schema(codec.schema, named_schemas={}), record)
    assert codec.decode(out.getvalue()) == change_of()


def test_a_schema_id_must_fit_the_framing() -> None:
    """An id that no registry gives is refused when the codec is made."""
    with pytest.raises(ConfigError, match="no schema id"):
        ChangeCodec.for_image(bundled.load("order"), Confluent(-1))


@pytest.mark.parametrize(
    "body",
    [b"no zlib", zlib.compress(b"abc" * 99)[:-5], zlib.compress(bytes(MAX_VALUE_BYTES + 1))],
    ids=["junk", "cut", "bomb"],
)
def test_a_packed_value_that_does_not_unpack_is_poison(body: bytes) -> None:
    """Broken, cut and bomb-like zlib parts are poison, within bounded memory."""
    with pytest.raises(PoisonError, match="zlib"):
        split(b"\x03\x05" + VERSION_ID.bytes + body)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "record", "name": "Other", "fields": [{"name": "a", "type": "string"}]},
        {"type": "record", "name": "OrderChange", "fields": [{"name": "op", "type": "long"}]},
        {"type": "record", "name": "Broken"},
        {"type": "record", "name": "Broken", "fields": [{"name": "a", "type": "Nothing"}]},
    ],
)
def test_a_value_of_another_producers_schema_is_poison(schema: dict[str, Any]) -> None:
    """A registered schema that is no change's: the value is poison, at every depth, and no other error escapes."""
    reader = ChangeCodec.for_image(bundled.load("order"), writers=_OneSchema(schema))
    for depth in Depth:
        with pytest.raises(PoisonError):
            reader.decode(b"\x00\x00\x00\x00\x07\x02a", depth)


@pytest.mark.parametrize("framing", [SingleObject(), Confluent(1_000_042)], ids=str)
def test_what_is_not_read_is_not_even_parsed(
    change_of: Callable[..., Change], codec: ChangeCodec, framing: Framing
) -> None:
    """A value cut behind its envelope, of our own or another id, still gives the envelope: images cost nothing."""
    writer = ChangeCodec.for_image(bundled.load("order"), framing)
    reader = ChangeCodec.for_image(bundled.load("order"), writers=_OneSchema(codec.schema))
    images = len(writer.encode(change_of())) - len(writer.encode(change_of(before=None, after=None))) + 2
    cut = writer.encode(change_of())[:-images]
    assert reader.decode(cut, Depth.ENVELOPE) == change_of(before=None, after=None)
    with pytest.raises(PoisonError):
        reader.decode(cut, Depth.AFTER)
