"""Schemas as they were at a git revision: what the compatibility gate of a pull request compares with."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import schemas
from schemas.compose import wire_schema
from schemas.errors import ConfigError
from schemas.evolution import NamedSchema

BUNDLED_FOLDER = Path(schemas.__file__).parent / "avro"
"""Where the package keeps its schemas; in a checkout, a folder of the repository."""

_TIMEOUT_S = 30


def image_file(name_or_path: str) -> Path:
    """The file of an image schema: a bundled one by name, else the path itself."""
    return Path(name_or_path) if name_or_path.endswith(".avsc") else BUNDLED_FOLDER / f"{name_or_path}.avsc"


def schema_at(revision: str, file: Path) -> NamedSchema | str:
    """The schema of changes as ``revision`` had it; a sentence instead when there is nothing to compare with.

    Raises:
        ConfigError: this is no git repository, its history is cut off (a shallow clone), or the old file is no schema.
    """
    folder = file.resolve().parent
    _git(folder, "rev-parse", "--git-dir", wrong=f"{folder} is not in a git repository")
    if _try_git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") is None:
        if _git(folder, "rev-parse", "--is-shallow-repository", wrong="git cannot tell its depth").strip() == "true":
            raise ConfigError(
                f"git has no revision {revision}: this clone is shallow",
                hint="fetch one commit more, for example with `git fetch --deepen=1` (in CI: fetch-depth 2)",
            )
        base = re.split(r"[~^]", revision, maxsplit=1)[0]
        if base == revision or _try_git(folder, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}") is None:
            raise ConfigError(f"git has no revision {revision}", hint="give a commit, tag or branch of this repository")
        return f"there is no commit {revision}, {base} is the first: nothing to compare with"
    text = _try_git(folder, "show", f"{revision}:./{file.name}")
    if text is None:
        return f"{revision} has no {file.name}: nothing to compare with"
    envelope = _try_git(BUNDLED_FOLDER, "show", f"{revision}:./change.avsc") if folder == BUNDLED_FOLDER else None
    return NamedSchema(revision, wire_schema(_json(text, revision, file), _json(envelope, revision, file)))


def changed_releases(revision: str, folder: Path) -> tuple[str, ...]:
    """A sentence for each released schema of ``revision`` that is not the same any more: they are frozen for good."""
    listed = _try_git(folder, "ls-tree", "--name-only", revision, "./") or ""
    sentences = []
    for name in (line for line in listed.splitlines() if line.endswith(".avsc")):
        now = (folder / name).read_text(encoding="utf-8") if (folder / name).exists() else None
        if now is None:
            sentences.append(f"the released schema {name} was removed; consumers need it to read old records")
        elif now != _try_git(folder, "show", f"{revision}:./{name}"):
            sentences.append(f"the released schema {name} was changed; a release is frozen, make a new one")
    return tuple(sentences)


def _json(text: str | None, revision: str, file: Path) -> Any:
    if text is None:
        return None
    try:
        document: Mapping[str, Any] = json.loads(text)
    except ValueError as error:
        raise ConfigError(
            f"{file.name} at {revision} is not JSON: {error}", hint="compare with another revision"
        ) from error
    return document


def _git(folder: Path, *arguments: str, wrong: str) -> str:
    text = _try_git(folder, *arguments)
    if text is None:
        raise ConfigError(wrong, hint="run it inside the checkout, with git installed")
    return text


def _try_git(folder: Path, *arguments: str) -> str | None:
    """Git's output; None when it failed."""
    try:
        done = subprocess.run(  # noqa: S603  # fixed program, no shell
            ["git", "-C", str(folder), *arguments],  # noqa: S607  # git as the user's PATH has it
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
