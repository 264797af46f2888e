"""Glue: the registry by boto3 against moto's, and the bytes against the layout of AWS's own serde."""

from __future__ import annotations

import io
import json
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import fastavro
import pytest
from moto import mock_aws

from connectors.registry import GlueRegistry, RegistrySettings, open_codec
from schemas import bundled
from schemas.change import Change
from schemas.compose import change_schema
from schemas.errors import ConfigError, FatalError
from schemas.framing import SchemaId

pytestmark = pytest.mark.integration

SCHEMA = change_schema(bundled.load("order"))


@pytest.fixture
def glue() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("glue", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
        client.create_registry(RegistryName="feeds")
        yield client


def _settings(**more: Any) -> RegistrySettings:
    return RegistrySettings(kind="glue", glue_registry="feeds", **more)


def test_a_schema_is_created_evolved_listed_and_found(glue: Any) -> None:
    """The first registration creates the schema, the next adds a version; both are listed and found by their ids."""
    registry = GlueRegistry(_settings(), glue)
    assert registry.versions("orders-value") == ()
    assert registry.lookup("orders-value", SCHEMA) is None
    first = registry.register("orders-value", SCHEMA)
    assert first.version == 1
    wider = bundled.load("order")
    wider["fields"].append({"name": "vat", "type": ["null", "string"], "default": None})
    second = registry.register("orders-value", change_schema(wider))
    assert second.version == 2
    fresh = GlueRegistry(_settings(), glue)
    assert fresh.versions("orders-value") == (first, second)
    assert fresh.lookup("orders-value", SCHEMA) == first
    assert fresh.find(SchemaId("glue", first.id)) == SCHEMA
    assert fresh.find(SchemaId("glue", uuid.uuid4())) is None
    assert fresh.find(SchemaId("confluent", 1)) is None


@pytest.mark.parametrize("packed", [False, True])
def test_the_bytes_are_those_of_the_public_serde(glue: Any, some_change: Callable[..., Change], packed: bool) -> None:
    """Header version 3, compression byte 0 or 5, the version id in big-endian order, then Avro: read here by hand."""
    codec = open_codec(
        "order",
        "orders",
        framing="glue",
        settings=_settings(auto_register=True, glue_zlib=packed),
        glue_client=lambda: glue,
    )
    value = codec.encode(some_change(codec))
    version_id = glue.get_schema_version(
        SchemaId={"RegistryName": "feeds", "SchemaName": "orders-value"}, SchemaVersionNumber={"LatestVersion": True}
    )["SchemaVersionId"]
    assert value[0] == 3
    assert value[1] == (5 if packed else 0)
    assert str(uuid.UUID(bytes=value[2:18])) == version_id
    body = zlib.decompress(value[18:]) if packed else value[18:]
    definition = glue.get_schema_version(SchemaVersionId=version_id)["SchemaDefinition"]
    record: Any = fastavro.schemaless_reader(io.BytesIO(body), json.loads(definition))
    assert record["after"]["orderId"] == "o-1"
    assert codec.decode(value) == some_change(codec)


def test_a_value_written_by_hand_as_the_serde_does_is_read(
    glue: Any, some_change: Callable[..., Change], tmp_path: Path
) -> None:
    """A consumer that writes single-object itself reads Glue's values, and again from its cache without Glue."""
    registered = GlueRegistry(_settings(), glue).register("orders-value", SCHEMA)
    cache = str(tmp_path / "schemas.json")
    reader = open_codec("order", "orders", settings=_settings(cache_file=cache), glue_client=lambda: glue)
    body = reader.encode(some_change(reader))[10:]
    value = b"\x03\x05" + uuid.UUID(str(registered.id)).bytes + zlib.compress(body)
    assert reader.decode(value) == some_change(reader)
    offline = open_codec("order", "orders", settings=_settings(cache_file=cache), glue_client=lambda: None)
    assert offline.decode(value) == some_change(reader)


def test_a_version_that_glue_refuses_is_told(glue: Any) -> None:
    """Glue takes a version first and refuses it later as incompatible: that is a fatal error here, not a silence."""
    registry = GlueRegistry(_settings(), _Refusing(glue), sleep=lambda _: None)
    with pytest.raises(FatalError, match="not compatible"):
        registry.register("orders-value", SCHEMA)


def test_a_missing_registry_and_no_auto_registration_are_told(glue: Any) -> None:
    """A registry that does not exist, and a schema that is not registered in production, end in a sentence each."""
    with pytest.raises(FatalError, match="no schema registry named nowhere"):
        GlueRegistry(RegistrySettings(kind="glue", glue_registry="nowhere"), glue).register("orders-value", SCHEMA)
    with pytest.raises(ConfigError, match="not registered as orders-value"):
        open_codec("order", "orders", framing="glue", settings=_settings(), glue_client=lambda: glue)


def test_subjects_are_listed_over_all_pages() -> None:
    """Every page is read (moto has no listing of schemas: this stand-in has two pages), a repeated token ends it."""
    pages = {None: (["b"], "1"), "1": (["a"], "2"), "2": (["c"], "2")}

    class TwoPages:
        def list_schemas(self, RegistryId: Any, NextToken: str | None = None) -> Any:  # noqa: N803  # AWS's names
            names, following = pages[NextToken]
            return {"Schemas": [{"SchemaName": name} for name in names], "NextToken": following}

    assert GlueRegistry(_settings(), TwoPages()).subjects() == ("a", "b", "c")


class _Refusing:
    """Glue that finds every version incompatible."""

    def __init__(self, glue: Any) -> None:
        self._glue = glue

    def __getattr__(self, name: str) -> Any:
        if name == "get_schema_version":
            return lambda **_: {"Status": "FAILURE"}
        return getattr(self._glue, name)
