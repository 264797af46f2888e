"""From settings to a codec: which schema, which framing, and where other writers' schemas are found."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from connectors.registry.bundled import BundledRegistry
from connectors.registry.confluent import ConfluentRegistry
from connectors.registry.contract import Registry
from connectors.registry.glue import GlueRegistry
from connectors.registry.settings import RegistrySettings
from schemas import bundled
from schemas.codec import ChangeCodec
from schemas.compose import change_schema
from schemas.errors import ConfigError
from schemas.framing import Framing, SchemaId, SingleObject
from schemas.released import ReleasedSchemas


class KnownSchemas:
    """Releases of the package first, then the registry."""

    def __init__(self, registry: Registry) -> None:
        self._released = ReleasedSchemas()
        self._registry = registry

    def find(self, schema_id: SchemaId) -> Mapping[str, Any] | None:
        """The schema that a value names (``schemas.framing.WriterSchemas``)."""
        return self._released.find(schema_id) or self._registry.find(schema_id)


def image_schema(name_or_path: str) -> dict[str, Any]:
    """The schema of a table's items: a bundled one by name, or an ``.avsc`` file by its path.

    Raises:
        ConfigError: there is no such schema, or it is not JSON.
    """
    if not name_or_path.endswith(".avsc"):
        return bundled.load(name_or_path)
    try:
        loaded = json.loads(Path(name_or_path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the schema {name_or_path} cannot be read: {error}", hint="check table.image_schema"
        ) from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"the schema {name_or_path} is not an Avro record", hint='see the bundled "order"')
    return loaded


def open_registry(settings: RegistrySettings, glue_client: Callable[[], Any]) -> Registry:
    """The registry that the settings name. ``glue_client`` is only called for Glue."""
    match settings.kind:
        case "confluent":
            return ConfluentRegistry(settings)
        case "glue":
            return GlueRegistry(settings, glue_client())
        case "bundled":
            return BundledRegistry()


def open_codec(
    image: str,
    topic: str,
    *,
    framing: Literal["single-object", "confluent", "glue"] = "single-object",
    settings: RegistrySettings | None = None,
    glue_client: Callable[[], Any] = lambda: None,
) -> ChangeCodec:
    """The codec of a feed.

    Args:
        image: name or path of the image schema (``table.image_schema``).
        topic: the topic of changes; the subject is ``<topic>-value`` unless the settings name another.
        framing: how values are written; every framing is read.
        settings: the registry; default: the bundled one.
        glue_client: makes the boto3 client of Glue, ``lambda: aws_clients.client("glue")``.

    Raises:
        ConfigError: framing and registry do not fit, or the schema is not registered and must not be by itself.
        RetryableError: the registry does not answer and the cache is cold.
    """
    settings = settings or RegistrySettings()
    avsc = image_schema(image)
    registry = open_registry(settings, glue_client)
    subject = settings.subject or f"{topic}-value"
    return ChangeCodec.for_image(avsc, _framing(framing, settings, registry, subject, avsc), KnownSchemas(registry))


def _framing(
    framing: str, settings: RegistrySettings, registry: Registry, subject: str, avsc: Mapping[str, Any]
) -> Framing:
    if framing == "single-object":
        return SingleObject()
    if framing != settings.kind:
        raise ConfigError(
            f"the framing {framing} needs a registry of kind {framing}, not {settings.kind}",
            hint=f"set the registry's kind to {framing}, or the framing to single-object",
        )
    schema = change_schema(avsc)
    registered = registry.lookup(subject, schema)
    if registered is None and settings.auto_register:
        registered = registry.register(subject, schema)
    if registered is None:
        raise ConfigError(
            f"the schema of changes is not registered as {subject}",
            hint="run `feed schemas check`, then `feed schemas register`; producers do not register by themselves",
        )
    return registry.framing(registered)
