"""Where an audit goes on: the next offset to compare on both sides of each partition, kept in a small file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from schemas.errors import ConfigError

VERSION = 2


@dataclass
class AuditState:
    """Resume points of one flow.

    Attributes:
        topic_ids: ``<side>/<topic>`` → the topic's id when it was compared; another id is another topic.
        next_offsets: ``<topic>/<partition>`` → next offset in the source, next offset in the copy.
        differences: ``<topic>/<partition>`` → kind → how many stand.
        shards: feed → what is known of its shards' ordinals.
        older_copies: ``<topic>/<partition>`` of which the copy begins earlier than the source, until both agree.
    """

    topic_ids: dict[str, str] = field(default_factory=dict)
    next_offsets: dict[str, tuple[int, int]] = field(default_factory=dict)
    differences: dict[str, dict[str, int]] = field(default_factory=dict)
    shards: dict[str, dict[str, object]] = field(default_factory=dict)
    older_copies: list[str] = field(default_factory=list)

    def save(self, file: Path) -> None:
        """Whole or not at all."""
        document = {"version": VERSION, **asdict(self)}
        unfinished = file.with_name(f".{file.name}.{os.getpid()}")
        with unfinished.open("w", encoding="utf-8") as out:
            out.write(json.dumps(document, indent=1, sort_keys=True) + "\n")
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(file)


def load_state(file: Path) -> AuditState:
    """The state of a file, or an empty one when there is none.

    Raises:
        ConfigError: the file is no state of an audit.
    """
    if not file.exists():
        return AuditState()
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            raise ValueError(f"version {document['version']}")
        offsets = {key: (int(source), int(copy)) for key, (source, copy) in document["next_offsets"].items()}
        differences = {
            place: {str(kind): int(n) for kind, n in one.items()} for place, one in document["differences"].items()
        }
        older = [str(place) for place in document.get("older_copies", ())]
        return AuditState(dict(document["topic_ids"]), offsets, differences, dict(document["shards"]), older)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{file} is no state of an audit: {error}.", hint="Remove it: the audit begins anew."
        ) from error
