"""Reads ``feed.yaml``. The one place that reads the process's environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr, ValidationError

from feed.config.faults import sentences
from feed.config.root import FeedConfig
from schemas.errors import ConfigError
from schemas.settings import Settings

DEFAULT_FILE = "feed.yaml"
FILE_VARIABLE = "FEED_CONFIG"
MASK = "********"
_VARIABLE = re.compile(r"\$?\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def environment() -> Mapping[str, str]:
    """The process's environment; asked for here and nowhere else."""
    return os.environ


def config_file(given: str | None) -> Path:
    """The file to read: the one given, else ``$FEED_CONFIG``, else ``feed.yaml`` here."""
    return Path(given or environment().get(FILE_VARIABLE) or DEFAULT_FILE)


def load_config(file: Path) -> FeedConfig:
    """Read and check a ``feed.yaml``.

    Raises:
        ConfigError: the file is absent, is no YAML, or has faults; ``faults`` has a sentence for each.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not text in UTF-8: {error.reason}", hint="is it the right file?") from error
    except OSError as error:
        raise ConfigError(
            f"cannot read {file}: {error.strerror}",
            hint=f"name it with --config or ${FILE_VARIABLE}; docs/configuration.md has a whole one",
        ) from error
    return parse_config(text, file=str(file), variables=environment())


def parse_config(text: str, *, file: str = DEFAULT_FILE, variables: Mapping[str, str]) -> FeedConfig:
    """Check the text of a ``feed.yaml``; ``${NAME}`` and ``${NAME:-default}`` are filled from ``variables``.

    ``$${…}`` stands for ``${…}`` itself, as templates of notifications need it.

    Raises:
        ConfigError: see :func:`load_config`.
    """
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else file
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(
            f"{place}: not YAML: {problem}", hint="mind the indentation; quote values that hold ': '"
        ) from error
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{file}: holds no settings", hint="docs/configuration.md has a whole feed.yaml to begin with"
        )
    unset: list[str] = []
    filled = _fill(raw, variables, unset)
    if unset:
        faults = tuple(f"{file}: the environment variable {name} is not set" for name in unset)
        raise ConfigError(
            faults[0], hint="set it, or write ${NAME:-default}; $${…} where the text itself is meant", faults=faults
        )
    try:
        return FeedConfig.model_validate(filled)
    except ValidationError as error:
        faults = sentences(error, FeedConfig.model_json_schema(), text, file)
        raise ConfigError(
            faults[0], hint="`feed config schema` prints what is known, for an editor too", faults=faults
        ) from error


def _fill(value: Any, variables: Mapping[str, str], unset: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(inner, variables, unset) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, variables, unset) for inner in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]  # written twice, the dollar is itself
        name, default = match.groups()
        if name not in variables and default is None:
            unset.append(name)
        return variables.get(name, default or "")

    return _VARIABLE.sub(replace, value)


def masked(settings: Settings) -> dict[str, Any]:
    """Effective values as plain data, every secret replaced by :data:`MASK`."""
    return {name: _masked(getattr(settings, name)) for name in type(settings).model_fields}


def revealed(settings: Settings) -> dict[str, Any]:
    """Effective values as plain data with the secrets in clear: for a file that only its owner may read."""
    return {name: _masked(getattr(settings, name), reveal=True) for name in type(settings).model_fields}


def _masked(value: Any, *, reveal: bool = False) -> Any:
    match value:
        case SecretStr() if not reveal:
            return MASK
        case SecretStr():
            return _masked(value.get_secret_value(), reveal=True)
        case str() if reveal:
            return value.replace("${", "$${")  # else it would be filled when it is read again
        case Settings():
            return revealed(value) if reveal else masked(value)
        case dict():
            return {key: _masked(inner, reveal=reveal) for key, inner in value.items()}
        case tuple() | list():
            return [_masked(inner, reveal=reveal) for inner in value]
        case _:
            return value
