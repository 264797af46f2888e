"""Items and images: DynamoDB JSON to a typed Avro record and back, with nothing lost.

The law: ``write(read(item)) == item`` for every item that is not poison. What a typed field cannot give back letter by
letter (another attribute, ``12.50`` for a decimal, a status the enum does not list, 12.345 for two decimals) is kept
under ``extra`` of the record it belongs to, as DynamoDB JSON. The typed field then holds the nearest true statement:
the same value (``12.50``), the enum's default, or null. It never holds a rounded number.

Converters are compiled once for a schema, a closure for each field: interpreting the schema for each record is too
slow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from schemas.attributes import Attribute, below, from_text, to_text, wrong_type
from schemas.errors import ConfigError, PoisonError
from schemas.scalars import Converter, Kept, Unfit, scalar_converter

EXTRA = "extra"
"""The field of a record that keeps what its typed fields do not: attribute name → DynamoDB JSON."""

Attributes = Mapping[str, Attribute]


class ImageConverter(NamedTuple):
    """Both directions of a whole item."""

    read: Callable[[Attributes], dict[str, Any]]
    """Item → image. Raises PoisonError with the path of the attribute that cannot be."""
    write: Callable[[Mapping[str, Any]], dict[str, Attribute]]
    """Image → item."""


class _Field(NamedTuple):
    attribute: str
    name: str
    converter: Converter
    nullable: bool


def image_converter(schema: Mapping[str, Any]) -> ImageConverter:
    """Compile the converter of an image schema.

    Raises:
        ConfigError: a field has a type that no attribute has, or a record lacks its ``extra``.
    """
    return _record(schema, {})


def attribute_converter(schema: Any) -> Converter:
    """Compile the converter of one field's type.

    Raises:
        ConfigError: no attribute has such a type.
    """
    return _converter(schema, {})


def _record(schema: Mapping[str, Any], named: dict[str, Any]) -> ImageConverter:
    fields = tuple(_field(field, named) for field in schema["fields"] if field["name"] != EXTRA)
    if len(fields) == len(schema["fields"]):
        raise ConfigError(
            f"the record {schema['name']} has no field {EXTRA!r} for the attributes that the schema does not name",
            hint=f'add {{"name": "{EXTRA}", "type": {{"type": "map", "values": "string"}}, "default": {{}}}}',
        )
    _remember(schema, named)  # only now: a record that holds itself is no image
    return ImageConverter(_record_reader(fields), _record_writer(fields))


def _field(field: Mapping[str, Any], named: dict[str, Any]) -> _Field:
    schema = field["type"]
    nullable = isinstance(schema, list)
    return _Field(str(field.get("attribute", field["name"])), str(field["name"]), _converter(schema, named), nullable)


def _record_reader(fields: tuple[_Field, ...]) -> Callable[[Attributes], dict[str, Any]]:
    plan = tuple((field.attribute, field.name, field.converter.read, field.nullable) for field in fields)
    names = frozenset(field.attribute for field in fields)

    def read(attributes: Attributes) -> dict[str, Any]:
        image: dict[str, Any] = {}
        extra: dict[str, str] = {}
        count = 0
        for attribute_name, name, convert, nullable in plan:
            attribute = attributes.get(attribute_name)
            if attribute is None:
                if not nullable:
                    raise _missing(attribute_name)
                image[name] = None
                continue
            count += 1
            try:
                image[name] = convert(attribute)
            except Kept as kept:
                image[name] = kept.value
                extra[attribute_name] = _text(attribute_name, attribute)
            except (PoisonError, AttributeError, TypeError) as error:
                raise _at(f".{attribute_name}", error, attribute) from error
        if count != len(attributes):
            for attribute_name, attribute in attributes.items():
                if attribute_name not in names:
                    extra[attribute_name] = _text(attribute_name, attribute)
        image[EXTRA] = extra
        return image

    return read


def _record_writer(fields: tuple[_Field, ...]) -> Callable[[Mapping[str, Any]], dict[str, Attribute]]:
    plan = tuple((field.attribute, field.name, field.converter.write) for field in fields)

    def write(image: Mapping[str, Any]) -> dict[str, Attribute]:
        extra = image[EXTRA]
        item: dict[str, Attribute] = {}
        for attribute_name, name, convert in plan:
            value = image[name]
            if value is not None and attribute_name not in extra:
                item[attribute_name] = convert(value)
        for attribute_name, text in extra.items():
            item[attribute_name] = from_text(text)
        return item

    return write


def _converter(schema: Any, named: dict[str, Any]) -> Converter:
    if isinstance(schema, list):
        return _nullable(schema, named)
    if isinstance(schema, str) and schema in named:
        schema = named[schema]
    scalar = scalar_converter(schema)
    if scalar is not None:
        if isinstance(schema, Mapping):
            _remember(schema, named)
        return scalar
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind == "array":
        return _list(_converter(schema["items"], named))
    if kind == "map":
        return _map(_converter(schema["values"], named))
    if kind == "record":
        return _nested(_record(schema, named))
    raise ConfigError(
        f"an image has no field of Avro type {kind!r}", hint="leave the attribute out: it is kept under extra"
    )


def _remember(schema: Mapping[str, Any], named: dict[str, Any]) -> None:
    """Make a named type known by its short and its full name."""
    if "name" in schema:
        named[schema["name"]] = schema
        if "namespace" in schema:
            named[f"{schema['namespace']}.{schema['name']}"] = schema


def _nullable(branches: list[Any], named: dict[str, Any]) -> Converter:
    others = [branch for branch in branches if branch != "null"]
    if len(others) != 1 or len(branches) != 2:
        raise ConfigError(
            "a field is of one type, or of null and one type",
            hint='write ["null", <type>], or leave the attribute out: it is kept under extra',
        )
    inner = _converter(others[0], named)
    convert = inner.read

    def read(attribute: Any) -> Any:
        try:
            return convert(attribute)
        except Unfit:
            raise Kept(None) from None
        except PoisonError:
            if attribute == {"NULL": True}:
                raise Kept(None) from None
            raise

    return Converter(read, inner.write)


def _list(element: Converter) -> Converter:
    read_element, write_element = element.read, element.write

    def read(attribute: Any) -> Any:
        elements = attribute.get("L")
        if elements.__class__ is not list or len(attribute) != 1:
            raise wrong_type("L", attribute)
        try:
            return [read_element(part) for part in elements]
        except (Kept, PoisonError, AttributeError, TypeError):  # seldom: once more, to know which element
            values, kept = _parts([(f"[{index}]", part) for index, part in enumerate(elements)], read_element)
            if kept:
                raise Kept(values) from None
            return values

    return Converter(read, lambda values: {"L": [write_element(value) for value in values]})


def _map(element: Converter) -> Converter:
    read_element, write_element = element.read, element.write

    def read(attribute: Any) -> Any:
        elements = attribute.get("M")
        if elements.__class__ is not dict or len(attribute) != 1:
            raise wrong_type("M", attribute)
        values, kept = _parts([(f".{name}", part) for name, part in elements.items()], read_element)
        mapped = dict(zip(elements, values, strict=True))
        if kept:
            raise Kept(mapped)
        return mapped

    return Converter(read, lambda values: {"M": {name: write_element(value) for name, value in values.items()}})


def _parts(parts: list[tuple[str, Any]], read_element: Callable[[Any], Any]) -> tuple[list[Any], bool]:
    """The values of a container's elements, and whether the container's attribute must be kept for one of them."""
    values: list[Any] = []
    kept = False
    for step, part in parts:
        try:
            values.append(read_element(part))
        except Kept as nearest:
            values.append(nearest.value)
            kept = True
        except Unfit as error:
            error.path = f"{step}{error.path}"
            raise
        except (PoisonError, AttributeError, TypeError) as error:
            raise _at(step, error, part) from error
    return values, kept


def _nested(record: ImageConverter) -> Converter:
    read_record, write_record = record

    def read(attribute: Any) -> Any:
        attributes = attribute.get("M")
        if attributes.__class__ is not dict or len(attribute) != 1:
            raise wrong_type("M", attribute)
        return read_record(attributes)

    return Converter(read, lambda value: {"M": write_record(value)})


def _at(step: str, error: Exception, attribute: Any) -> PoisonError:
    """The poison of one attribute, with its place; what is no mapping at all fails with an error of Python's own."""
    if isinstance(error, PoisonError):
        return below(step, error)
    return below(step, wrong_type("of the schema", attribute))


def _missing(name: str) -> PoisonError:
    return PoisonError(
        f"the attribute {name!r} is missing, and its field cannot be null",
        hint='mend the writer, or make the field nullable in the table\'s .avsc: "type": ["null", …], "default": null',
        path=f".{name}",
    )


def _text(name: str, attribute: Attribute) -> str:
    try:
        return to_text(attribute)
    except PoisonError as error:
        raise below(f".{name}", error) from error
