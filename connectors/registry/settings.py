"""Settings of schema registries."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from schemas.settings import Settings

CompatibilityName = Literal[
    "NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"
]
"""The names of ``schemas.evolution.Compatibility``, as plain text, which is what a configuration holds."""


class RegistrySettings(Settings):
    """Where schemas are kept, and how to reach it."""

    kind: Literal["bundled", "confluent", "glue"] = "bundled"
    """``bundled``: in the package, nothing to run; ``confluent``: any registry with Confluent's REST interface;
    ``glue``: the AWS Glue Schema Registry of the region's ``aws`` section."""
    url: str = ""
    """Address of a ``confluent`` registry, ``https://registry.example.com``."""
    username: str | None = None
    """User (or API key) for HTTP basic authentication."""
    password: SecretStr | None = None
    """Its password (or API secret)."""
    token: SecretStr | None = None
    """Bearer token, instead of user and password."""
    ca_file: str | None = None
    """PEM file of the authorities to trust, instead of the system's."""
    certificate_file: str | None = None
    """PEM file of a client certificate, for registries that ask for one."""
    certificate_key_file: str | None = None
    """PEM file of its private key, where it is not in ``certificate_file``."""
    timeout_ms: Annotated[int, Field(ge=100, le=60_000)] = 5_000
    """How long one call may take, in milliseconds."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 4
    """Tries of one call, with growing pauses between them, before it counts as failed."""
    cache_file: str | None = None
    """File that remembers every schema and id seen, so that a process can start while the registry is away."""
    subject: str = ""
    """Subject of the feed's changes; empty: ``<topic>-value``."""
    glue_registry: str = "default-registry"
    """Name of the registry in Glue."""
    glue_zlib: bool = False
    """Pack each value with zlib, as Glue's serializers may. Kafka's own compression of batches is better at it."""
    compatibility: CompatibilityName = "BACKWARD_TRANSITIVE"
    """What a changed schema must keep to pass the gate."""
    auto_register: bool = False
    """Register a missing schema when a producer starts. For play only: in production a schema is registered by
    ``feed schemas register``, behind the gate, and a producer that misses it does not start."""

    @model_validator(mode="after")
    def _complete(self) -> RegistrySettings:
        if self.kind == "confluent" and not self.url.startswith(("http://", "https://")):
            raise ValueError("registry.url: a confluent registry needs its http(s) address")
        if self.token is not None and self.username is not None:
            raise ValueError("registry: give a token, or a user and password, not both")
        if (self.username is None) != (self.password is None):
            raise ValueError("registry: username and password come together")
        return self
