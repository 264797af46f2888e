"""The reference of every setting, written from the settings themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from feed.config.root import FeedConfig

BEGIN = "<!-- every setting, written by `make docs` -->"
END = "<!-- end of the settings -->"


def settings_tables() -> str:
    """Markdown: one table a section, a row a setting with its type, default and meaning."""
    schema = FeedConfig.model_json_schema()
    blocks = []
    for title, node in _sections(schema, schema, ""):
        rows = [
            f"| `{name}` | {_kind(schema, field)} | {_default(name, node, field)} | {_cell(_meaning(schema, field))} |"
            for name, field in node.get("properties", {}).items()
        ]
        head = f"### `{title}`" if title else "### Top level"
        about = node.get("description", "").partition("\n")[0]
        blocks.append(
            "\n".join([head, "", about, "", "| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows])
        )
    return "\n\n".join(blocks)


def with_tables(document: str) -> str:
    """``document`` with what stands between the two markers written anew."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{settings_tables()}\n\n{END}{after}"


def _sections(root: Mapping[str, Any], node: Mapping[str, Any], title: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield title, node
    for name, field in node.get("properties", {}).items():
        for suffix, inner in _objects(root, field):
            yield from _sections(root, inner, f"{title}.{name}{suffix}".lstrip("."))


def _objects(root: Mapping[str, Any], field: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The sections that a field holds, with what their title adds: a map's name, a list's number, a choice's kind."""
    node = _resolved(root, field)
    if "properties" in node:
        yield "", node
    for branch in (*node.get("oneOf", ()), *node.get("anyOf", ())):
        inner = _resolved(root, branch)
        if "properties" in inner:
            kind = inner["properties"].get("kind", {}).get("const")
            yield (f" (kind: {kind})" if kind else ""), inner
    for inner_field in (*node.get("patternProperties", {}).values(), node.get("additionalProperties")):
        if isinstance(inner_field, Mapping):
            yield from ((f".<name>{suffix}", inner) for suffix, inner in _objects(root, inner_field))
    if isinstance(node.get("items"), Mapping):
        yield from ((f"[]{suffix}", inner) for suffix, inner in _objects(root, node["items"]))


def _resolved(root: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    while ref := node.get("$ref"):
        node = root["$defs"][ref.rpartition("/")[2]]
    return node


def _kind(root: Mapping[str, Any], field: Mapping[str, Any]) -> str:
    node = _resolved(root, field)
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return " \\| ".join(f"`{value}`" for value in node["enum"])
    branches = (*node.get("anyOf", ()), *node.get("oneOf", ()))
    if branches:
        kinds = [_kind(root, branch) for branch in branches]
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "null"))
    if node.get("format") == "password":
        return "secret"
    if node.get("type") == "array":
        items = node.get("items")
        return f"list of {_kind(root, items)}" if isinstance(items, Mapping) else "list"
    if node.get("type") == "object":
        return "section" if "properties" in node else "map"
    return str(node.get("type", "any"))


def _meaning(root: Mapping[str, Any], field: Mapping[str, Any]) -> str:
    text = str(field.get("description") or _resolved(root, field).get("description", ""))
    limits = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    said = [f"{word} {field[key]}" for key, word in limits.items() if key in field]
    return text + (f" ({', '.join(said)})" if said else "")


def _default(name: str, node: Mapping[str, Any], field: Mapping[str, Any]) -> str:
    if name in node.get("required", ()):
        return "required"
    value = field.get("default")
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return "its defaults" if value else "empty"
    return f"`{json.dumps(value)}`"


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())
