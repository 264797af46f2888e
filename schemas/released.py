"""The schemas of earlier releases: consumers of this package read what every release of it wrote.

A release freezes the schema of a table's changes, whole, as ``avro/released/<name>.<number>.avsc``. Such a file never
changes again; the compatibility gate compares with all of them, and the codec finds the writer of an old record here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from schemas.evolution import NamedSchema
from schemas.framing import SchemaId, fingerprint_of


@cache
def _released() -> tuple[tuple[str, int, str], ...]:
    """(name, number, text) of every released schema, oldest first."""
    folder = files("schemas") / "avro" / "released"
    found = []
    for entry in folder.iterdir() if folder.is_dir() else ():
        name, _, number = entry.name.removesuffix(".avsc").rpartition(".")
        if entry.name.endswith(".avsc") and number.isdecimal():
            found.append((name, int(number), entry.read_text(encoding="utf-8")))
    return tuple(sorted(found))


def released(name: str) -> tuple[NamedSchema, ...]:
    """The released schemas of a table's changes, oldest first; ``name`` is the image's bundled name (``order``)."""
    return tuple(
        NamedSchema(f"release {number}", json.loads(text)) for known, number, text in _released() if known == name
    )


@cache
def _by_fingerprint() -> dict[int, dict[str, Any]]:
    schemas = [json.loads(text) for _, _, text in _released()]
    return {fingerprint_of(schema): schema for schema in schemas}


class ReleasedSchemas:
    """Finds what earlier releases wrote, by fingerprint (``schemas.framing.WriterSchemas``)."""

    def find(self, schema_id: SchemaId) -> Mapping[str, Any] | None:
        """The released schema with this fingerprint; None for ids of registries."""
        if schema_id.framing == "single-object" and isinstance(schema_id.id, int):
            return _by_fingerprint().get(schema_id.id)
        return None
