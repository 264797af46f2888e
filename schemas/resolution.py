"""Avro's schema resolution, as a list of what stands in its way: can this reader read what that writer wrote?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Clash(NamedTuple):
    """One place where a reader's schema cannot take what the writer's wrote."""

    field: str
    """The field, with its record: ``changefeed.orders.Order.total``."""
    reason: str


_PROMOTIONS = {
    ("int", "long"),
    ("int", "float"),
    ("int", "double"),
    ("long", "float"),
    ("long", "double"),
    ("float", "double"),
    ("string", "bytes"),
}
"""(writer, reader) pairs of different primitive types that resolution allows. Bytes read as a string it allows as well,
and readers fail at the first value that is no UTF-8: not here."""

_NAMED = {"record", "enum", "fixed"}


def clashes(*, reader: Mapping[str, Any], writer: Mapping[str, Any]) -> tuple[Clash, ...]:
    """Everything that keeps a reader with ``reader`` from reading what was written with ``writer``."""
    found = _Resolution(_names(reader), _names(writer)).between(reader, writer, str(reader.get("name", "")))
    return tuple(dict.fromkeys(found))


class _Resolution:
    """One comparison: the named types of both sides, and the pairs that were compared already."""

    def __init__(self, reader_names: dict[str, Any], writer_names: dict[str, Any]) -> None:
        self._reader_names = reader_names
        self._writer_names = writer_names
        self._seen: set[tuple[str, str]] = set()

    def between(self, reader: Any, writer: Any, at: str) -> Iterator[Clash]:
        reader, writer = _resolve(reader, self._reader_names), _resolve(writer, self._writer_names)
        if isinstance(writer, list) or isinstance(reader, list):
            yield from self._union(reader, writer, at)
            return
        reader_kind, writer_kind = _kind(reader), _kind(writer)
        if reader_kind != writer_kind and (writer_kind, reader_kind) not in _PROMOTIONS:
            yield Clash(at, f"its type changed from {_shown(writer)} to {_shown(reader)}")
            return
        yield from _logical(reader, writer, at)
        match reader_kind:
            case "record":
                yield from self._record(reader, writer)
            case "enum":
                yield from _enum(reader, writer, at)
            case "fixed":
                yield from _fixed(reader, writer, at)
            case "array":
                yield from self.between(reader["items"], writer["items"], f"{at}[]")
            case "map":
                yield from self.between(reader["values"], writer["values"], f"{at}{{}}")

    def _union(self, reader: Any, writer: Any, at: str) -> Iterator[Clash]:
        readers = reader if isinstance(reader, list) else [reader]
        for branch in writer if isinstance(writer, list) else [writer]:
            attempts = [list(self.between(candidate, branch, at)) for candidate in readers]
            if all(attempts):
                likely = _likely(readers, branch, attempts, self._reader_names, self._writer_names)
                yield from likely or [Clash(at, _no_branch(branch, readers))]

    def _record(self, reader: Mapping[str, Any], writer: Mapping[str, Any]) -> Iterator[Clash]:
        name = _full_name(reader)
        if _short(reader) != _short(writer) and _full_name(writer) not in _aliases(reader):
            yield Clash(name, f"the record was named {_full_name(writer)} before (give it an alias)")
            return
        if (name, _full_name(writer)) in self._seen:
            return
        self._seen.add((name, _full_name(writer)))
        written = {field["name"]: field for field in writer["fields"]}
        for field in reader["fields"]:
            names = [field["name"], *field.get("aliases", ())]
            source = next((written[known] for known in names if known in written), None)
            at = f"{name}.{field['name']}"
            if source is not None:
                yield from self.between(field["type"], source["type"], at)
            elif "default" not in field:
                yield Clash(at, "the field has no default, and records without it exist")


def _likely(
    readers: list[Any],
    branch: Any,
    attempts: list[list[Clash]],
    reader_names: dict[str, Any],
    writer_names: dict[str, Any],
) -> list[Clash]:
    """The clashes within the branch of the same kind: they say more than "no branch fits"."""
    kind = _kind(_resolve(branch, writer_names))
    for candidate, found in zip(readers, attempts, strict=True):
        if _kind(_resolve(candidate, reader_names)) == kind:
            return found
    return []


def _no_branch(branch: Any, readers: list[Any]) -> str:
    wanted = " or ".join(_shown(reader) for reader in readers)
    return f"{_shown(branch)} was allowed before, now it must be {wanted}"


def _enum(reader: Mapping[str, Any], writer: Mapping[str, Any], at: str) -> Iterator[Clash]:
    missing = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
    if missing and "default" not in reader:
        yield Clash(at, f"its enum lost {', '.join(missing)} and has no default to read them as")


def _fixed(reader: Mapping[str, Any], writer: Mapping[str, Any], at: str) -> Iterator[Clash]:
    if reader["size"] != writer["size"]:
        yield Clash(at, f"its size changed from {writer['size']} to {reader['size']} bytes")


def _logical(reader: Any, writer: Any, at: str) -> Iterator[Clash]:
    """Resolution ignores logical types; the values would be read without an error, and wrong."""
    reads, wrote = (side if isinstance(side, Mapping) else {} for side in (reader, writer))
    if reads.get("logicalType") != wrote.get("logicalType"):
        yield Clash(at, f"its meaning changed from {_shown(writer)} to {_shown(reader)}")
    elif reads.get("logicalType") == "decimal":
        if reads.get("scale", 0) != wrote.get("scale", 0):
            yield Clash(
                at,
                f"its decimals changed from {wrote.get('scale', 0)} to {reads.get('scale', 0)}, so amounts would shift",
            )
        if reads["precision"] < wrote["precision"]:
            yield Clash(at, f"its digits shrank from {wrote['precision']} to {reads['precision']}")


def _names(schema: Any, namespace: str = "") -> dict[str, Any]:
    """Every named type of a schema by its full name, with its namespace written out."""
    if isinstance(schema, list):
        return {name: named for branch in schema for name, named in _names(branch, namespace).items()}
    if not isinstance(schema, Mapping):
        return {}
    own: dict[str, Any] = {}
    if schema.get("type") in _NAMED and "name" in schema:
        full = schema["name"] if "." in schema["name"] else f"{schema.get('namespace', namespace)}.{schema['name']}"
        namespace = full.rpartition(".")[0]
        own[full] = own[full.rpartition(".")[2]] = {**schema, "namespace": namespace, "name": full.rpartition(".")[2]}
    inner = [schema.get("items"), schema.get("values"), *(field["type"] for field in schema.get("fields", ()))]
    if isinstance(schema.get("type"), list | Mapping):
        inner.append(schema["type"])
    for part in inner:
        own = {**_names(part, namespace), **own}
    return own


def _resolve(schema: Any, names: dict[str, Any]) -> Any:
    """The schema itself where only its name stands; its one wrapped type where the type is written out within."""
    if isinstance(schema, Mapping) and isinstance(schema.get("type"), list | Mapping):
        return _resolve(schema["type"], names)
    if isinstance(schema, str):
        return names.get(schema, schema)
    if isinstance(schema, Mapping) and schema.get("type") in _NAMED:
        return names.get(f"{schema['namespace']}.{schema['name']}" if "namespace" in schema else schema["name"], schema)
    return schema


def _kind(schema: Any) -> str:
    return str(schema["type"]) if isinstance(schema, Mapping) else str(schema)


def _short(schema: Mapping[str, Any]) -> str:
    return str(schema["name"]).rpartition(".")[2]


def _full_name(schema: Mapping[str, Any]) -> str:
    name, namespace = str(schema["name"]), schema.get("namespace")
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _aliases(schema: Mapping[str, Any]) -> set[str]:
    namespace = schema.get("namespace", "")
    return {alias if "." in alias else f"{namespace}.{alias}" for alias in schema.get("aliases", ())}


def _shown(schema: Any) -> str:
    if isinstance(schema, list):
        return " or ".join(_shown(branch) for branch in schema)
    if not isinstance(schema, Mapping):
        return str(schema)
    if "logicalType" in schema:
        return str(schema["logicalType"])
    return f"{schema['type']} {schema['name']}" if "name" in schema else str(schema["type"])
