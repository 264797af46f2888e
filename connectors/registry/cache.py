"""What a registry said once stays true (no id is ever given to another schema): no expiry, but a bound."""

from __future__ import annotations

import json
import logging
import os
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.framing import SchemaId

log = logging.getLogger(__name__)

MAX_SCHEMAS = 1_000
"""Schemas kept, about 10 KB each; a feed meets a handful. Beyond it, the oldest go."""


class SchemaCache:
    """Schemas by id, and ids by (subject, fingerprint), in memory and in a file where one is named. Thread-safe.

    The file is for a start while the registry is away, so a broken or unwritable file is no reason to stop: it is
    logged once and the cache works in memory.
    """

    def __init__(self, file: str | None = None) -> None:
        self._file = Path(file) if file else None
        self._lock = threading.Lock()
        self._schemas: dict[str, Mapping[str, Any]] = {}
        self._ids: dict[str, tuple[int, str]] = {}
        if self._file is not None and self._file.exists():
            self._read(self._file)

    def schema(self, schema_id: SchemaId) -> Mapping[str, Any] | None:
        """The schema of an id, if it is remembered."""
        return self._schemas.get(_text(schema_id))

    def registered(self, subject: str, fingerprint: int) -> tuple[int, SchemaId] | None:
        """Version and id of a schema within a subject, if they are remembered."""
        found = self._ids.get(f"{subject} {fingerprint:016x}")
        return None if found is None else (found[0], _id(found[1]))

    def remember(self, schema_id: SchemaId, schema: Mapping[str, Any]) -> None:
        """Keep a schema."""
        with self._lock:
            if _text(schema_id) in self._schemas:
                return
            while len(self._schemas) >= MAX_SCHEMAS:
                del self._schemas[next(iter(self._schemas))]
            self._schemas[_text(schema_id)] = schema
            self._write()

    def remember_registered(self, subject: str, fingerprint: int, version: int, schema_id: SchemaId) -> None:
        """Keep under which version and id a subject has a schema."""
        with self._lock:
            known = (version, _text(schema_id))
            if self._ids.get(f"{subject} {fingerprint:016x}") == known:
                return
            while len(self._ids) >= MAX_SCHEMAS:
                del self._ids[next(iter(self._ids))]
            self._ids[f"{subject} {fingerprint:016x}"] = known
            self._write()

    def _read(self, file: Path) -> None:
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            self._schemas = dict(document["schemas"])
            self._ids = {name: (int(version), str(text)) for name, (version, text) in document["ids"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            log.warning("schema cache unreadable, starting cold file=%s error=%r", file, error)

    def _write(self) -> None:
        if self._file is None:
            return
        document = json.dumps({"schemas": self._schemas, "ids": self._ids}, ensure_ascii=False)
        unfinished = self._file.with_name(f"{self._file.name}.{os.getpid()}.tmp")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(document, encoding="utf-8")
            unfinished.replace(self._file)  # whole or not at all, also when two processes write
        except OSError as error:
            log.warning(
                "schema cache not written, a start without the registry will fail file=%s error=%s", self._file, error
            )
            self._file = None


def _text(schema_id: SchemaId) -> str:
    return f"{schema_id.framing}:{schema_id.id}"


def _id(text: str) -> SchemaId:
    framing, _, number = text.partition(":")
    return SchemaId(framing, uuid.UUID(number) if framing == "glue" else int(number))
