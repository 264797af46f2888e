"""Dead letters: what each says of itself, and which of them are still open. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from consumers.runtime.dead_letters import CONTEXT_PREFIX

MARK = "dead_letter_mark"
"""Header of a record that only shows a retry how far the topic reaches; its value is the time in ms."""

RETRIED = "dead_letter_retried"
"""Header of a *marker*: a record without a value that tells the dead letter at this offset as retried."""

OUTCOME = "dead_letter_outcome"
"""Header of a marker: what came of the retry."""

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """A record of a dead-letter topic as it lies there."""

    offset: int
    at_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    def texts(self) -> dict[str, str]:
        """Headers as text, for people; of a name that is there twice the last counts."""
        return {name: (value or b"").decode(errors="backslashreplace") for name, value in self.headers}


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without its value."""

    offset: int
    at_ms: int
    """When it was kept."""
    origin: str
    """Where the record came from: ``shard ordinal n`` of the stream, or ``topic[partition]@offset``."""
    reason: str
    path: str = ""
    retried_at_ms: int | None = None
    outcome: str = ""

    @property
    def open(self) -> bool:
        """Whether nothing has come of it yet."""
        return self.retried_at_ms is None


def letters_of(records: Iterable[Stored]) -> list[Letter]:
    """The dead letters of a topic in the order of offsets, each with what its marker says."""
    letters: dict[int, Letter] = {}
    for record in records:
        said = record.texts()
        if MARK in said:
            continue
        if RETRIED not in said:
            letters[record.offset] = _letter(record, said)
            continue
        offset = int(said[RETRIED])
        letter = letters.get(offset)  # retention may have taken it before its marker
        if letter is not None and letter.open:
            letters[offset] = replace(letter, retried_at_ms=record.at_ms, outcome=said.get(OUTCOME, ""))
    return list(letters.values())


def open_letters(letters: Iterable[Letter]) -> list[Letter]:
    """Those that nothing has come of yet."""
    return [letter for letter in letters if letter.open]


def marker(offset: int, outcome: str) -> Headers:
    """Headers of the marker for the dead letter at ``offset``."""
    return ((RETRIED, b"%d" % offset), (OUTCOME, outcome.encode()))


def _letter(record: Stored, said: Mapping[str, str]) -> Letter:
    if (shard := said.get("ce_shard")) is not None and f"{CONTEXT_PREFIX}topic" not in said:
        return Letter(
            record.offset,
            record.at_ms,
            f"{shard} ordinal {said.get('ce_ordinal', '?')}",
            said.get("dead_letter_reason", "no reason is given"),
            said.get("dead_letter_path", ""),
        )
    fact = {name.removeprefix(CONTEXT_PREFIX): text for name, text in said.items() if name.startswith(CONTEXT_PREFIX)}
    return Letter(
        record.offset,
        record.at_ms,
        f"{fact.get('topic', '?')}[{fact.get('partition', '?')}]@{fact.get('offset', '?')}",
        fact.get("exception.message", "no reason is given"),
        fact.get("exception.path", ""),
    )
