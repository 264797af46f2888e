"""Schema registries.

Promises: three kinds behind one contract (bundled, Confluent-compatible REST, AWS Glue); bounded time, retries and
cache; a start without the registry when its cache file is warm; nothing is registered unless a person, or a setting,
says so.
"""

from connectors.registry.bundled import BundledRegistry
from connectors.registry.cache import SchemaCache
from connectors.registry.codecs import KnownSchemas, image_schema, open_codec, open_registry
from connectors.registry.confluent import ConfluentRegistry
from connectors.registry.contract import RegisteredSchema, Registry
from connectors.registry.glue import GlueRegistry
from connectors.registry.settings import RegistrySettings

__all__ = [
    "BundledRegistry",
    "ConfluentRegistry",
    "GlueRegistry",
    "KnownSchemas",
    "RegisteredSchema",
    "Registry",
    "RegistrySettings",
    "SchemaCache",
    "image_schema",
    "open_codec",
    "open_registry",
]
