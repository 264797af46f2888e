"""The codec of one feed: changes to values on the topic and back, items to images and back."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException, UnknownType

from schemas.attributes import Attribute
from schemas.change import Change, Image
from schemas.compose import change_schema, for_python, key_attributes
from schemas.envelope import envelope_writer
from schemas.errors import ConfigError, PoisonError
from schemas.events import change_shape
from schemas.framing import (
    Framing,
    Glue,
    SchemaId,
    SingleObject,
    WriterSchemas,
    id_of,
    pack,
    prefix_of,
    split,
    unknown_schema,
)
from schemas.images import image_converter
from schemas.released import ReleasedSchemas

_UNREADABLE = (
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    RecursionError,
    struct.error,
    SchemaResolutionError,
)
"""What fastavro raises on bytes that are not the schema's."""


_Reader = Callable[[BytesIO], Any]
"""Reads the record at a stream's position."""


class Depth(Enum):
    """How much of a value a reader needs. What is left out is not even parsed: the images are the last fields."""

    ENVELOPE = 6
    """Op, key, version, source and times; no images."""
    AFTER = 7
    """The envelope and the image after the change."""
    FULL = 8
    """Everything."""


class ChangeCodec:
    """Encodes and decodes the changes of one table. Safe to share between threads once made."""

    def __init__(self, image: Mapping[str, Any], *, framing: Framing, writers: WriterSchemas) -> None:
        self.schema = change_schema(image)
        """The Avro schema of the changes, as registries and other readers want it."""
        self.framing = framing
        self.key_attributes = key_attributes(image)
        """The attributes of the table's primary key, as the schema names them."""
        _check_avro(self.schema)
        python_schema = for_python(self.schema)
        self._writers = writers
        self._prefix = prefix_of(framing, self.schema)
        self._packed = isinstance(framing, Glue) and framing.zlib
        self._images = _parse(python_schema | {"fields": python_schema["fields"][Depth.ENVELOPE.value :]})
        self._by_depth = {depth: _parse(_cut(python_schema, depth)) for depth in Depth}
        self._to_record, to_key, self._to_images, self._from_record = change_shape(image)
        self._envelope = envelope_writer(_parse(python_schema["fields"][1]["type"]), to_key)
        self._read_image, self._write_image = image_converter(image)
        self._own_readers = {depth: _plain_reader(parsed) for depth, parsed in self._by_depth.items()}
        self._readers: dict[tuple[SchemaId, Depth], _Reader] = {
            (own, depth): reader
            for own in (id_of(SingleObject(), self.schema), id_of(framing, self.schema))
            for depth, reader in self._own_readers.items()
        }

    @classmethod
    def for_image(
        cls, avsc: Mapping[str, Any], framing: Framing | None = None, writers: WriterSchemas | None = None
    ) -> ChangeCodec:
        """The codec for a table, by the schema of its images.

        Args:
            avsc: the image schema, for example ``schemas.bundled.load("order")``.
            framing: how values are written; reading takes every framing. Default: Avro single-object.
            writers: where schemas of other writers (older, newer, other framings) are found. Default: releases.

        Raises:
            ConfigError: the schema cannot be an image's.
        """
        return cls(avsc, framing=framing or SingleObject(), writers=writers or ReleasedSchemas())

    def encode(self, change: Change) -> bytes:
        """The value of a change's record.

        Raises:
            PoisonError: its key or an image is not the schema's.
        """
        out = BytesIO()
        out.write(self._prefix)
        try:
            out.write(self._envelope(change))
            schemaless_writer(out, self._images, self._to_images(change))
        except PoisonError:
            raise
        except _UNREADABLE as error:
            raise PoisonError(
                f"the change does not fit its schema: {error!r}",
                hint="images come from image_from_dynamodb; one made by hand must have every field",
                path="value",
            ) from error
        value = out.getvalue()
        return pack(value) if self._packed else value

    def decode(self, value: bytes, depth: Depth = Depth.FULL) -> Change:
        """The change that a value holds, in any framing.

        Raises:
            PoisonError: it can never be read.
            FatalError: it names a schema that is not known here.
            RetryableError: the registry that knows the schema does not answer.
        """
        if (
            value.startswith(self._prefix) and not self._packed
        ):  # as nearly all are: nothing to look up, nothing to copy
            source = BytesIO(value)
            source.seek(len(self._prefix))
            read = self._own_readers[depth]
        else:
            schema_id, body = split(value)
            source = BytesIO(body)
            read = self._readers.get((schema_id, depth)) or self._resolving_reader(schema_id, depth)
        try:
            record = read(source)
            change = self._from_record(record)
        except _UNREADABLE as error:
            raise PoisonError(
                f"the value is not what its schema says: {error!r}",
                hint="the record was cut or overwritten; look at it in the dead letters",
                path="value",
            ) from error
        if depth is Depth.FULL and source.read(1):
            raise PoisonError(
                "the value goes on behind its last field", hint="look at the record in the dead letters", path="value"
            )
        return change

    def decode_batch(self, values: Iterable[bytes], depth: Depth = Depth.FULL) -> list[Change | PoisonError]:
        """:meth:`decode` for many values: a poison value gives its error in its place, the others go on.

        Raises:
            FatalError: a value names a schema that is not known here.
            RetryableError: the registry that knows a schema does not answer.
        """
        results: list[Change | PoisonError] = []
        for value in values:
            try:
                results.append(self.decode(value, depth))
            except PoisonError as error:
                results.append(error)
        return results

    def image_from_dynamodb(self, attributes: Mapping[str, Attribute]) -> Image:
        """An item in DynamoDB JSON (binary as base64 text or as bytes) as an image.

        Raises:
            PoisonError: an attribute is missing, malformed or of another type; ``path`` names it (``lines[2].price``).
        """
        try:
            return self._read_image(attributes)
        except PoisonError as error:
            error.path = error.path.removeprefix(".")
            raise

    def image_to_dynamodb(self, image: Image) -> dict[str, Attribute]:
        """The item of an image, in DynamoDB JSON; :func:`schemas.attributes.with_bytes` makes it what boto3 wants."""
        return self._write_image(image)

    def record_of(self, change: Change) -> dict[str, Any]:
        """The fields of a change's value as plain data, for people and for other formats.

        Raises:
            PoisonError: its key is not the schema's.
        """
        record = self._to_record(change)
        return record | {"after": change.after, "before": change.before}

    def _resolving_reader(self, schema_id: SchemaId, depth: Depth) -> _Reader:
        """The reader for another writer's schema, made once and kept; how many there can be the registry bounds."""
        writer = self._writers.find(schema_id)
        if writer is None:
            raise unknown_schema(schema_id)
        wanted = self._by_depth[depth]
        unread = {field["name"] for field in self.schema["fields"][depth.value :]}
        try:
            written = _parse(_cut_before(for_python(writer), unread))
        except (SchemaParseException, UnknownType, ValueError, LookupError, TypeError) as error:
            raise PoisonError(
                f"the value's schema is no record: {error!r}",
                hint="another producer writes to this topic",
                path="value",
            ) from error
        reader = _plain_reader(written) if written == wanted else _two_schema_reader(written, wanted)
        self._readers[schema_id, depth] = reader
        return reader


def _check_avro(schema: dict[str, Any]) -> None:
    try:
        _parse(schema)
    except (SchemaParseException, UnknownType, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"the schema of {schema['name']} is not an Avro schema: {error}", hint="mend the table's .avsc"
        ) from error


def _parse(schema: dict[str, Any]) -> Any:
    return parse_schema(schema, named_schemas={}, expand=False)


def _cut(schema: dict[str, Any], depth: Depth) -> dict[str, Any]:
    return schema | {"fields": schema["fields"][: depth.value]}


def _cut_before(schema: dict[str, Any], unread: set[str]) -> dict[str, Any]:
    """The schema up to the first field from which on nothing is read."""
    fields = schema["fields"]
    end = len(fields)
    while end and fields[end - 1]["name"] in unread:
        end -= 1
    return schema | {"fields": fields[:end]}


def _plain_reader(schema: Any) -> _Reader:
    return lambda source: schemaless_reader(source, schema)


def _two_schema_reader(written: Any, wanted: Any) -> _Reader:
    return lambda source: schemaless_reader(source, written, wanted)
