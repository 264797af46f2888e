"""Where an audit goes on: the next offset to compare on both sides of each partition, kept in a small file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from schemas.errors import ConfigError

VERSION = 1


@dataclass
class AuditState:
    """Resume points of one flow.

    Attributes:
        topic_ids: ``<side>/<topic>`` → the topic's id when it was compared; another id is another topic.
        next_offsets: ``<topic>/<partition>`` → next offset in the source, next offset in the copy.
    """

    topic_ids: dict[str, str] = field(default_factory=dict)
    next_offsets: dict[str, tuple[int, int]] = field(default_factory=dict)

    def save(self, file: Path) -> None:
        """Whole or not at all."""
        document = {"version": VERSION, "topic_ids": self.topic_ids, "next_offsets": self.next_offsets}
        unfinished = file.with_name(f".{file.name}.{os.getpid()}")
        unfinished.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
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
        return AuditState(dict(document["topic_ids"]), offsets)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{file} is no state of an audit: {error}.", hint="Remove it: the audit begins anew."
        ) from error
