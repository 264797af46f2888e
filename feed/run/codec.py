"""The codec that a configuration names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from feed.config import FeedConfig
from schemas import bundled
from schemas.codec import ChangeCodec
from schemas.errors import ConfigError


def image_schema(config: FeedConfig) -> Mapping[str, Any]:
    """The Avro schema of the table's items: a bundled one by its name, else the file of that path.

    Raises:
        ConfigError: there is no such schema, or the file holds none.
    """
    name = config.table.image_schema
    if not name.endswith(".avsc"):
        return bundled.load(name)
    try:
        schema: Mapping[str, Any] = json.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"table.image_schema: cannot read {name}: {error.strerror}", hint="give the path of an .avsc file"
        ) from error
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"table.image_schema: {name} is not JSON: {error}", hint="an Avro schema is a JSON document"
        ) from error
    return schema


def codec_of(config: FeedConfig) -> ChangeCodec:
    """The codec of the feed's table."""
    return ChangeCodec.for_image(image_schema(config))
