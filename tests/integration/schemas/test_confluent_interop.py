"""Both ways with Confluent's own serializers, over a real HTTP registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from connectors.registry import ConfluentRegistry, KnownSchemas, RegistrySettings, open_codec
from schemas import bundled
from schemas.change import Change
from schemas.codec import ChangeCodec

pytestmark = pytest.mark.integration

CONTEXT = SerializationContext("orders", MessageField.VALUE)


def _settings(server: Any, **more: Any) -> RegistrySettings:
    return RegistrySettings(kind="confluent", url=server.url, **more)


def test_confluents_deserializer_reads_what_we_write(registry_server: Any, some_change: Callable[..., Change]) -> None:
    """AvroDeserializer, given nothing but the registry, reads our value into typed Python values."""
    codec = open_codec("order", "orders", framing="confluent", settings=_settings(registry_server, auto_register=True))
    value = codec.encode(some_change(codec))
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": registry_server.url}))
    record: Any = deserialize(value, CONTEXT)
    assert record["op"] == "c"
    assert record["key"] == {"orderId": "o-1"}
    assert record["after"]["total"] == Decimal("39.90")
    assert record["after"]["updatedAt"] == datetime(2025, 11, 24, 16, 0, 0, 456000, tzinfo=UTC)
    assert record["after"]["extra"] == {"photo": '{"B":"AP8="}'}
    assert record["version"]["sequence"] == str(10**39)


def test_we_read_what_confluents_serializer_writes(registry_server: Any, some_change: Callable[..., Change]) -> None:
    """A value of AvroSerializer, from the typed record its deserializer gave, decodes to the same change."""
    codec = open_codec("order", "orders", framing="confluent", settings=_settings(registry_server, auto_register=True))
    client = SchemaRegistryClient({"url": registry_server.url})
    record: Any = AvroDeserializer(client)(codec.encode(some_change(codec)), CONTEXT)
    serialize = AvroSerializer(client, _text(codec), conf={"auto.register.schemas": False})
    value = serialize(record, CONTEXT)
    assert isinstance(value, bytes)
    assert value[:1] == b"\x00"
    assert codec.decode(value) == some_change(codec)
    reader = ChangeCodec.for_image(
        bundled.load("order"), writers=KnownSchemas(ConfluentRegistry(_settings(registry_server)))
    )
    assert reader.decode(value) == some_change(codec)


def test_a_schema_that_their_serializer_registered_is_found_by_us(
    registry_server: Any, some_change: Callable[..., Change]
) -> None:
    """Another team registers the schema with Confluent's client first; we find its id and use it."""
    codec = ChangeCodec.for_image(bundled.load("order"))
    client = SchemaRegistryClient({"url": registry_server.url})
    AvroSerializer(client, _text(codec))(_datum(codec, some_change(codec)), CONTEXT)
    (registered,) = ConfluentRegistry(_settings(registry_server)).versions("orders-value")
    assert registered.version == 1
    assert registered.schema["name"] == "OrderChange"
    ours = open_codec("order", "orders", framing="confluent", settings=_settings(registry_server))
    assert int.from_bytes(ours.encode(some_change(ours))[1:5], "big") == registered.id


def _text(codec: ChangeCodec) -> str:
    return json.dumps(codec.schema)


def _datum(codec: ChangeCodec, change: Change) -> dict[str, Any]:
    return codec._to_record(change)
