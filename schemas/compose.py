"""From a table's image schema to the schema of its changes: ``order.avsc`` in, the Avro record on the wire out.

The envelope is ``avro/change.avsc`` with two holes, ``changefeed.Key`` and ``changefeed.Image``. The image goes into
the second as it is; the first becomes a record of the image's key fields, which the image names in its property
``key``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas import bundled
from schemas.errors import ConfigError

_LOGICAL_TYPES_OF_PYTHON = {"decimal"}
"""Logical types that fastavro turns into Python values; times are stripped, so that they stay integers."""


def change_schema(image: Mapping[str, Any], envelope: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The schema of a table's changes, named after its image: ``orders.Order`` → ``orders.OrderChange``.

    Args:
        image: the schema of the table's items.
        envelope: another ``change.avsc`` than this version's, to see what an earlier one wrote.

    Raises:
        ConfigError: the image schema has no name, or its property ``key`` does not name one or two of its fields.
    """
    name = image_name(image)
    namespace, _, short = name.rpartition(".")
    envelope = dict(envelope or bundled.load("change"))
    full = dict(image) | {"name": short, "namespace": namespace}
    fields = [_field(field, name, full, _key_record(image, namespace, short)) for field in envelope["fields"]]
    return envelope | {"name": f"{short}Change", "namespace": namespace, "fields": fields}


def wire_schema(schema: Mapping[str, Any], envelope: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What stands on a topic: the changes of an image, or the schema itself where it is no image (``control``)."""
    return change_schema(schema, envelope) if "key" in schema else dict(schema)


def image_name(image: Mapping[str, Any]) -> str:
    """Full name of an image schema.

    Raises:
        ConfigError: it is not a named record.
    """
    if image.get("type") != "record" or not isinstance(image.get("name"), str):
        raise ConfigError("an image schema is an Avro record with a name", hint='see the bundled "order"')
    if "." in image["name"]:
        return str(image["name"])
    namespace = image.get("namespace") or "changefeed"
    return f"{namespace}.{image['name']}"


def key_fields(image: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The fields of an image that make its primary key, in the order its property ``key`` gives.

    Raises:
        ConfigError: the property is missing or does not name one or two fields.
    """
    names = image.get("key")
    fields = {field["name"]: field for field in image["fields"]}
    if not isinstance(names, list) or not 1 <= len(names) <= 2 or not all(name in fields for name in names):
        raise ConfigError(
            f"the image schema {image_name(image)} does not say which of its fields are the key",
            hint="give the record a property \"key\": the partition key's field, then the sort key's if any",
        )
    return tuple(fields[name] for name in names)


def key_attributes(image: Mapping[str, Any]) -> tuple[str, ...]:
    """The attributes of the table's primary key, as the image schema names them.

    Raises:
        ConfigError: see :func:`key_fields`.
    """
    return tuple(str(field.get("attribute", field["name"])) for field in key_fields(image))


def for_python(schema: Any) -> Any:
    """The same schema without the logical types that Python code reads as plain numbers and text.

    Bytes on the wire do not change: a logical type is only an annotation.
    """
    if isinstance(schema, list):
        return [for_python(branch) for branch in schema]
    if not isinstance(schema, Mapping):
        return schema
    stripped = {
        name: for_python(value) if name in {"type", "items", "values", "fields"} else value
        for name, value in schema.items()
    }
    if stripped.get("logicalType", "decimal") not in _LOGICAL_TYPES_OF_PYTHON:
        del stripped["logicalType"]
    return stripped


def _key_record(image: Mapping[str, Any], namespace: str, short: str) -> dict[str, Any]:
    fields = [
        {name: field[name] for name in ("name", "type", "doc", "attribute") if name in field}
        for field in key_fields(image)
    ]
    return {"type": "record", "name": f"{short}Key", "namespace": namespace, "fields": fields}


def _field(field: dict[str, Any], name: str, image: dict[str, Any], key: dict[str, Any]) -> dict[str, Any]:
    if field["name"] == "key":
        return field | {"type": key}
    if field["name"] == "after":  # the first use of the image defines it, the second names it
        return field | {"type": ["null", image]}
    if field["name"] == "before":
        return field | {"type": ["null", name]}
    return field
