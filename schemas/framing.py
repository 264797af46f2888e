"""What stands before the Avro bytes of a value and says with which schema they were written.

======================  ==========================================================  ============================
framing                 bytes                                                       schema is found by
======================  ==========================================================  ============================
Avro single-object      ``C3 01``, CRC-64-AVRO fingerprint (8, little-endian)       the fingerprint: no registry
Confluent               ``00``, id (4, big-endian)                                  the registry's id
AWS Glue                ``03``, ``00`` plain or ``05`` zlib, version id (16, UUID)  the registry's version id
======================  ==========================================================  ============================

The first byte tells them apart, so a topic may hold all three at once: a feed that changes its framing needs no
migration.
Sources: Avro 1.12 specification, "Single-object encoding"; Confluent "Wire format"; awslabs/aws-glue-schema-registry,
``GlueSchemaRegistryWrapper`` and ``AWSSchemaRegistryConstants``.
"""

from __future__ import annotations

import json
import struct
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.errors import ConfigError, FatalError, PoisonError

_SINGLE_OBJECT_MARK = b"\xc3\x01"
_CONFLUENT_MARK = 0x00
_GLUE_MARK = 0x03
_GLUE_PLAIN = 0x00
_GLUE_ZLIB = 0x05
_GLUE_PREFIX_BYTES = 18

MAX_VALUE_BYTES = 64 * 1024 * 1024
"""What a zlib-packed value may unpack to: far above two items of 400 KB, far below what a hostile value could claim."""


@dataclass(frozen=True, slots=True)
class SingleObject:
    """Avro single-object encoding, the default: readers need the schema, not a registry."""


@dataclass(frozen=True, slots=True)
class Confluent:
    """The framing of Confluent-compatible registries."""

    schema_id: int
    """The id that the registry gave to the schema of changes."""


@dataclass(frozen=True, slots=True)
class Glue:
    """The framing of the AWS Glue Schema Registry."""

    version_id: uuid.UUID
    """The schema version's id in Glue."""
    zlib: bool = False
    """Pack each value with zlib. Kafka's batch compression is better at it: leave it off unless readers expect it."""


Framing: TypeAlias = SingleObject | Confluent | Glue


class SchemaId(NamedTuple):
    """How a value names the schema it was written with."""

    framing: str
    """``single-object``, ``confluent`` or ``glue``."""
    id: int | uuid.UUID
    """Fingerprint, registry id or version id."""


class WriterSchemas(Protocol):
    """Finds the schema that a value names. Registries implement it (``connectors.registry``)."""

    def find(self, schema_id: SchemaId) -> Mapping[str, Any] | None:
        """The schema, or None when it is not known here.

        Raises:
            RetryableError: the registry does not answer, and nothing is cached.
        """
        ...


def fingerprint_of(schema: Mapping[str, Any]) -> int:
    """CRC-64-AVRO of a schema's Parsing Canonical Form, as an unsigned integer."""
    text = fingerprint(to_parsing_canonical_form(json.loads(json.dumps(schema))), "CRC-64-AVRO")
    return int.from_bytes(bytes.fromhex(text), "little")


def prefix_of(framing: Framing, schema: Mapping[str, Any]) -> bytes:
    """The bytes before each value."""
    match framing:
        case SingleObject():
            return _SINGLE_OBJECT_MARK + fingerprint_of(schema).to_bytes(8, "little")
        case Confluent(schema_id):
            if not 0 <= schema_id < 1 << 31:
                raise ConfigError(
                    f"{schema_id} is no schema id of a registry", hint="take the id from `feed schemas list`"
                )
            return struct.pack(">bI", _CONFLUENT_MARK, schema_id)
        case Glue(version_id, packed):
            return bytes((_GLUE_MARK, _GLUE_ZLIB if packed else _GLUE_PLAIN)) + version_id.bytes


def id_of(framing: Framing, schema: Mapping[str, Any]) -> SchemaId:
    """What values of this framing and schema name."""
    match framing:
        case SingleObject():
            return SchemaId("single-object", fingerprint_of(schema))
        case Confluent(schema_id):
            return SchemaId("confluent", schema_id)
        case Glue(version_id):
            return SchemaId("glue", version_id)


def split(value: bytes) -> tuple[SchemaId, bytes]:
    """The schema that a value names, and its Avro bytes.

    Raises:
        PoisonError: the value has none of the three framings.
    """
    if value[:2] == _SINGLE_OBJECT_MARK and len(value) >= 10:
        return SchemaId("single-object", int.from_bytes(value[2:10], "little")), value[10:]
    if len(value) >= 5 and value[0] == _CONFLUENT_MARK:
        return SchemaId("confluent", int.from_bytes(value[1:5], "big")), value[5:]
    if len(value) >= _GLUE_PREFIX_BYTES and value[0] == _GLUE_MARK and value[1] in {_GLUE_PLAIN, _GLUE_ZLIB}:
        body = value[18:] if value[1] == _GLUE_PLAIN else _unpack(value[18:])
        return SchemaId("glue", uuid.UUID(bytes=value[2:18])), body
    raise PoisonError(
        f"the value has no known framing: it begins with {value[:2].hex() or 'nothing'}",
        hint="something else than a feed wrote to this topic; look at the record in the dead letters",
        path="value",
    )


def pack(value: bytes) -> bytes:
    """A value in Glue's framing whose Avro bytes stand behind its prefix, with those bytes packed by zlib."""
    return value[:_GLUE_PREFIX_BYTES] + zlib.compress(value[_GLUE_PREFIX_BYTES:])


def unknown_schema(schema_id: SchemaId) -> FatalError:
    """The error for a value whose schema is not known here: most likely its writer is newer, so it is not poison."""
    shown = (
        f"{schema_id.id:016x}"
        if schema_id.framing == "single-object" and isinstance(schema_id.id, int)
        else str(schema_id.id)
    )
    return FatalError(
        f"a value was written with a schema that is not known here ({schema_id.framing} {shown})",
        hint="run a version that has the schema (consumers are upgraded before the producer), or name a registry",
    )


def _unpack(packed: bytes) -> bytes:
    try:
        unpacking = zlib.decompressobj()
        body = unpacking.decompress(packed, MAX_VALUE_BYTES)
        if unpacking.unconsumed_tail or not unpacking.eof:
            raise PoisonError(
                "the zlib part of the value is cut off or too large",
                hint="look at the record in the dead letters",
                path="value",
            )
    except zlib.error as error:
        raise PoisonError(
            f"the value's zlib part cannot be unpacked: {error}",
            hint="look at the record in the dead letters",
            path="value",
        ) from error
    return body
