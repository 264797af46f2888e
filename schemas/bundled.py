"""The schemas that travel with the package, so that no registry is needed to read what this package wrote."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from schemas.errors import ConfigError


@cache
def _text(name: str) -> str:
    resource = files("schemas") / "avro" / f"{name}.avsc"
    if not resource.is_file():
        known = ", ".join(names())
        raise ConfigError(f"no bundled schema is named {name!r}", hint=f"the bundled schemas are: {known}")
    return resource.read_text(encoding="utf-8")


def load(name: str) -> dict[str, Any]:
    """The bundled schema ``name`` (``order``: the images of the table ``orders``), a new copy at each call.

    Raises:
        ConfigError: no such schema is bundled.
    """
    loaded: dict[str, Any] = json.loads(_text(name))
    return loaded


def names() -> tuple[str, ...]:
    """The names that :func:`load` knows."""
    folder = files("schemas") / "avro"
    return tuple(sorted(entry.name.removesuffix(".avsc") for entry in folder.iterdir() if entry.name.endswith(".avsc")))


def contracts() -> tuple[str, ...]:
    """The bundled schemas that make a contract with readers: images, and the control events; not the bare envelope."""
    return tuple(name for name in names() if name != "change")
