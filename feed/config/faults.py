"""From pydantic's errors to sentences that a person can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from pydantic import ValidationError

Path = Sequence[str | int]


def sentences(error: ValidationError, json_schema: Mapping[str, Any], text: str, file: str) -> tuple[str, ...]:
    """One sentence for each fault, with the place in the file and, for an unknown key, the nearest known one."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found = []
    for fault in error.errors():
        path = fault["loc"]
        place = f"{file}:{line_of(root, path)}"
        name = ".".join(str(part) for part in path)
        if fault["type"] == "extra_forbidden":
            known = known_keys(json_schema, path[:-1])
            near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
            guess = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
            found.append(f"{place}: unknown key {name}: {guess}")
        elif fault["type"] == "missing":
            found.append(f"{place}: {name} is missing")
        else:
            said = fault["msg"].removeprefix("Value error, ")
            found.append(f"{place}: {name}: {said[:1].lower()}{said[1:]}")
    return tuple(found)


def known_keys(schema: Mapping[str, Any], path: Path) -> list[str]:
    """The property names that a JSON schema allows at ``path``."""
    nodes = list(_branches(schema, schema))
    for part in path:
        below = [n for node in nodes for n in _step(node, part)]
        # a part that no schema knows is pydantic's tag of a union's branch: it names no level of the file
        nodes = [b for node in below for b in _branches(schema, node)] or nodes
    return sorted({key for node in nodes for key in node.get("properties", {})})


def _branches(root: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if ref := node.get("$ref"):
        yield from _branches(root, root["$defs"][ref.rpartition("/")[2]])
        return
    yield node
    for word in ("anyOf", "oneOf", "allOf"):
        for branch in node.get(word, ()):
            yield from _branches(root, branch)


def _step(node: Mapping[str, Any], part: str | int) -> Iterator[Mapping[str, Any]]:
    if part in node.get("properties", {}):
        yield node["properties"][part]
    elif "patternProperties" in node:
        yield from node["patternProperties"].values()
    elif isinstance(extra := node.get("additionalProperties"), Mapping):
        yield extra
    elif isinstance(part, int) and isinstance(items := node.get("items"), Mapping):
        yield items


def line_of(node: yaml.Node | None, path: Path) -> int:
    """The line (from 1) of the deepest node on ``path`` that the file has."""
    line = 1 if node is None else node.start_mark.line + 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            pairs = {key.value: (key, value) for key, value in node.value}
            if part not in pairs:
                continue
            key, node = pairs[str(part)]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
