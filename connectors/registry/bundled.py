"""The registry that needs no registry: the schemas in the package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.registry.contract import RegisteredSchema
from schemas import bundled
from schemas.errors import ConfigError
from schemas.framing import SchemaId, SingleObject, fingerprint_of
from schemas.released import ReleasedSchemas, released


class BundledRegistry:
    """The releases of the bundled image schemas; a subject is an image's name (``order``)."""

    def __init__(self) -> None:
        self._released = ReleasedSchemas()

    def find(self, schema_id: SchemaId) -> Mapping[str, Any] | None:
        """See :class:`connectors.registry.contract.Registry`."""
        return self._released.find(schema_id)

    def subjects(self) -> tuple[str, ...]:
        """See :class:`connectors.registry.contract.Registry`."""
        return bundled.contracts()

    def versions(self, subject: str) -> tuple[RegisteredSchema, ...]:
        """See :class:`connectors.registry.contract.Registry`."""
        return tuple(
            RegisteredSchema(subject, number, fingerprint_of(named.schema), named.schema)
            for number, named in enumerate(released(subject), start=1)
        )

    def lookup(self, subject: str, schema: Mapping[str, Any]) -> RegisteredSchema:
        """Any schema: a fingerprint needs no registering."""
        return RegisteredSchema(subject, len(released(subject)) + 1, fingerprint_of(schema), schema)

    def register(self, subject: str, schema: Mapping[str, Any]) -> RegisteredSchema:  # noqa: ARG002  # the protocol's
        """Refused: the package is not written to at run time."""
        raise ConfigError(
            f"the bundled schema {subject} is registered by a release of this package",
            hint="run `feed schemas release` in a checkout and commit the file",
        )

    def framing(self, registered: RegisteredSchema) -> SingleObject:  # noqa: ARG002  # the protocol's signature
        """See :class:`connectors.registry.contract.Registry`."""
        return SingleObject()
