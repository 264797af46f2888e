"""What every schema registry can do here, whoever runs it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.framing import Framing, SchemaId


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """One version of a subject's schema."""

    subject: str
    """``<topic>-value``; in Glue the schema's name."""
    version: int
    """Number within the subject, from 1."""
    id: int | uuid.UUID
    """What values name: the registry's id, Glue's version id, or a fingerprint."""
    schema: Mapping[str, Any]


class Registry(Protocol):
    """Keeps the versions of schemas. Also a ``schemas.framing.WriterSchemas``: it finds what a value names."""

    def find(self, schema_id: SchemaId) -> Mapping[str, Any] | None:
        """The schema that a value names; None when this registry does not have it, or the id is another framing's.

        Raises:
            RetryableError: the registry does not answer, and the schema is not in the cache.
        """
        ...

    def subjects(self) -> tuple[str, ...]:
        """Every subject, sorted."""
        ...

    def versions(self, subject: str) -> tuple[RegisteredSchema, ...]:
        """The versions of a subject, oldest first; empty when there is no such subject."""
        ...

    def lookup(self, subject: str, schema: Mapping[str, Any]) -> RegisteredSchema | None:
        """The version of ``subject`` that is exactly this schema; None when it is not registered."""
        ...

    def register(self, subject: str, schema: Mapping[str, Any]) -> RegisteredSchema:
        """Make the schema the subject's newest version (or find it registered already).

        Raises:
            FatalError: the registry refuses it, for example as incompatible.
        """
        ...

    def framing(self, registered: RegisteredSchema) -> Framing:
        """How values of this version are framed."""
        ...
