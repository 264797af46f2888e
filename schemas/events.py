"""A change as the record that Avro writes, and back: the envelope's fields, apart from framing and bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from schemas.attributes import Attribute, below
from schemas.change import Change, Op, Source
from schemas.compose import image_name, key_fields
from schemas.errors import ConfigError, PoisonError
from schemas.images import attribute_converter
from schemas.scalars import Kept
from schemas.unions import union_namer
from schemas.version import Version


class ChangeShape(NamedTuple):
    """Both directions of the envelope, compiled for one table."""

    to_record: Callable[[Change], dict[str, Any]]
    """The record that fastavro writes. Raises PoisonError when the key is not the schema's."""
    to_key: Callable[[Mapping[str, Any]], dict[str, Any]]
    """The record's field ``key``. Raises PoisonError as above."""
    to_images: Callable[[Change], dict[str, Any]]
    """The record's fields ``after`` and ``before``."""
    from_record: Callable[[Mapping[str, Any]], Change]
    """The change; an image that the record does not hold is None."""


def change_shape(image: Mapping[str, Any]) -> ChangeShape:
    """Compile the envelope of a table's changes.

    Raises:
        ConfigError: the image schema does not name a usable key.
    """
    write_key, read_key = _key_converters(image)
    name = image_name(image)
    named = union_namer(image) or dict

    def to_images(change: Change) -> dict[str, Any]:
        after, before = change.after, change.before
        # with its name fastavro need not try the union's branches on the whole image
        return {
            "after": None if after is None else (name, named(after)),
            "before": None if before is None else (name, named(before)),
        }

    def to_record(change: Change) -> dict[str, Any]:
        source = change.source
        return {
            "op": change.op,
            "key": write_key(change.key),
            "version": {"epoch": change.version.epoch, "sequence": str(change.version.sequence)},
            "source": {
                "table": source.table,
                "region": source.region,
                "stream": source.stream,
                "shard": source.shard,
                "sequence": str(source.sequence),
                "ordinal": source.ordinal,
                "eventId": source.event_id,
                "ttl": source.ttl,
                "writingRegion": source.writing_region,
            },
            "occurredAt": change.occurred_at_ms,
            "capturedAt": change.captured_at_ms,
            **to_images(change),
        }

    return ChangeShape(to_record, write_key, to_images, lambda record: _change(record, read_key))


def _change(record: Mapping[str, Any], read_key: Callable[[Mapping[str, Any]], dict[str, Attribute]]) -> Change:
    source = record["source"]
    version = record["version"]
    return Change(  # by position: half the time of keywords, and this runs for every record
        Op.read(record["op"]),
        read_key(record["key"]),
        record.get("before"),
        record.get("after"),
        Source(
            source["table"],
            source["region"],
            source["stream"],
            source["shard"],
            int(source["sequence"]),
            source["ordinal"],
            source["eventId"],
            source["ttl"],
            source["writingRegion"],
        ),
        Version(version["epoch"], int(version["sequence"])),
        record["occurredAt"],
        record["capturedAt"],
    )


KeyWriter = Callable[[Mapping[str, Any]], dict[str, Any]]
KeyReader = Callable[[Mapping[str, Any]], dict[str, Attribute]]


def _key_converters(image: Mapping[str, Any]) -> tuple[KeyWriter, KeyReader]:
    fields = tuple(
        (str(field.get("attribute", field["name"])), str(field["name"]), attribute_converter(_key_type(image, field)))
        for field in key_fields(image)
    )

    def write(key: Mapping[str, Any]) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for attribute_name, name, converter in fields:
            try:
                record[name] = converter.read(key[attribute_name])
            except Kept as kept:  # the same number or bytes in other letters: a key means its value
                record[name] = kept.value
            except PoisonError as error:
                raise below(f"key.{attribute_name}", error) from error
            except (KeyError, AttributeError, TypeError) as error:
                raise _no_key(attribute_name) from error
        if len(record) != len(key):
            raise _no_key(", ".join(sorted(key.keys() - {name for name, _, _ in fields})))
        return record

    def read(record: Mapping[str, Any]) -> dict[str, Attribute]:
        return {attribute_name: converter.write(record[name]) for attribute_name, name, converter in fields}

    return write, read


def _key_type(image: Mapping[str, Any], field: Mapping[str, Any]) -> Any:
    schema = field["type"]
    plain = schema if isinstance(schema, str) else schema.get("type") if isinstance(schema, Mapping) else None
    if plain not in {"string", "long", "int", "bytes"}:
        raise ConfigError(
            f"the key field {field['name']!r} of {image_name(image)} is {plain or 'nullable'}",
            hint="a key field is string, bytes, int, long or decimal, and never null",
        )
    return schema


def _no_key(name: str) -> PoisonError:
    return PoisonError(
        f"the key and the schema disagree on the attribute {name!r}",
        hint="compare the table's key schema with the property key of its .avsc",
        path="key",
    )
