"""YAML with a reason above each line: a tiny writer for the few shapes that a Kubernetes resource of ours has.

Scalars are written as JSON strings, numbers and booleans, which every YAML reader understands the same way.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

_WIDTH = 118

Scalar = str | int | bool


@dataclass(frozen=True)
class Node:
    """A key with a scalar, nested keys (``Node`` s) or a list of such groups; ``why`` becomes the comment above it."""

    key: str
    value: Scalar | tuple[Node, ...] | Items
    why: str = ""


@dataclass(frozen=True)
class Items:
    """A list whose members are groups of keys."""

    members: tuple[tuple[Node, ...], ...]


def yaml_text(header: str, nodes: Iterable[Node]) -> str:
    """The document's text; the same nodes give the same bytes."""
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    return comment + "".join(f"{line}\n" for line in _lines(nodes, 0))


def _lines(nodes: Iterable[Node], depth: int) -> list[str]:
    indent = "  " * depth
    lines: list[str] = []
    for node in nodes:
        if node.why:
            lines += [f"{indent}# {line}" for line in textwrap.wrap(node.why, _WIDTH - len(indent))]
        match node.value:
            case tuple():
                lines.append(f"{indent}{_key(node.key)}:")
                lines += _lines(node.value, depth + 1)
            case Items(()):
                lines.append(f"{indent}{_key(node.key)}: []")
            case Items():
                lines.append(f"{indent}{_key(node.key)}:")
                for member in node.value.members:
                    lines += _item(_lines(member, depth + 2), depth + 1)
            case _:
                lines.append(f"{indent}{_key(node.key)}: {json.dumps(node.value, ensure_ascii=False)}")
    return lines


def _item(lines: list[str], depth: int) -> list[str]:
    """Puts the dash in front of a list member's first key; comments above that key stay comments."""
    indent = "  " * depth
    first = next(index for index, line in enumerate(lines) if not line.lstrip().startswith("#"))
    comments = [f"{indent}{line.strip()}" for line in lines[:first]]
    return [*comments, f"{indent}- {lines[first].lstrip()}", *lines[first + 1 :]]


def _key(key: str) -> str:
    plain = all(char.isalnum() or char in "._-" for char in key)
    return key if plain else json.dumps(key)
