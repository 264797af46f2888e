"""One line of a configuration with its reason, and the text of a Java properties file.

Java's format has no inline comments (a ``#`` behind a value belongs to the value), so a reason always stands on lines
of its own.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

_WIDTH = 118


@dataclass(frozen=True)
class Entry:
    """A key, its value, and why it is there: what it does and what happens without it."""

    key: str
    value: str
    why: str


@dataclass(frozen=True)
class Section:
    """Entries that belong together, under a title."""

    title: str
    entries: tuple[Entry, ...]


def as_mapping(sections: Iterable[Section]) -> dict[str, str]:
    """All entries as key → value, in order."""
    return {entry.key: entry.value for section in sections for entry in section.entries}


def properties_text(header: str, sections: Iterable[Section]) -> str:
    """The text of a ``.properties`` file; the same sections give the same bytes."""
    parts = [comment_text(header)]
    for section in sections:
        parts.append(f"\n# ---- {section.title} ----\n")
        parts.extend(
            f"{comment_text(entry.why)}{escape_key(entry.key)} = {escape_value(entry.value)}\n"
            for entry in section.entries
        )
    return "".join(parts)


def escape_value(value: str) -> str:
    """A value as ``java.util.Properties`` reads it back unchanged.

    Backslashes doubled, a leading space kept, line ends written out.
    """
    escaped = _escaped(value)
    return f"\\{escaped}" if escaped.startswith(" ") else escaped


def escape_key(key: str) -> str:
    """A key as ``java.util.Properties`` reads it back unchanged.

    As a value, and separators, comment signs and spaces get a backslash.
    """
    return "".join(f"\\{char}" if char in ":=#! " else char for char in _escaped(key))


def _escaped(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return "".join(char if " " <= char <= "~" else _unicode(char) for char in escaped)


def _unicode(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def comment_text(text: str) -> str:
    """Lines of comment, as properties, YAML and shell have them."""
    lines = [line for paragraph in text.splitlines() for line in (textwrap.wrap(paragraph, _WIDTH) or [""])]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)
