"""``feed schemas``: the gate against releases and against git, as CI runs it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from feed.cli import schemas as command
from schemas import bundled
from schemas.change import Change
from schemas.codec import ChangeCodec
from schemas.compose import change_schema
from schemas.errors import ConfigError, FatalError


def _feed(*arguments: str) -> Result:
    return CliRunner().invoke(command.app, list(arguments), catch_exceptions=True)


def _write(file: Path, **changes: Any) -> None:
    """An .avsc like the bundled order's; ``total_type`` replaces the type of its total."""
    image = bundled.load("order")
    for field in image["fields"]:
        if field["name"] == "total" and "total_type" in changes:
            field["type"] = changes["total_type"]
            field.pop("default")
    file.write_text(json.dumps(image))


def _git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No feed.yaml of the checkout is picked up."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository whose second commit has the schema."""
    _git(tmp_path, "init", "-q")
    (tmp_path / "README").write_text("first")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-q", "-m", "first")
    _write(tmp_path / "order.avsc")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-q", "-m", "second")
    return tmp_path


def test_the_schemas_of_this_checkout_pass_against_their_releases() -> None:
    """`feed schemas check`, without anything, is the gate over the bundled schemas."""
    result = _feed("check")
    assert result.exit_code == 0, result.output
    assert "order: compatible (BACKWARD_TRANSITIVE) with release 1" in result.output


def test_an_incompatible_change_since_the_last_commit_turns_ci_red(repository: Path) -> None:
    """The pull request that makes total a text ends with exit code 1 and a sentence that names the field."""
    file = repository / "order.avsc"
    _write(file, total_type="string")
    result = _feed("check", str(file), "--against", "git:HEAD")
    assert result.exit_code == 1
    assert "INCOMPATIBLE" in result.output
    assert "changefeed.orders.Order.total" in result.output
    assert "a reader with the new schema could not read records of HEAD" in result.output


def test_a_compatible_change_since_the_last_commit_passes(repository: Path) -> None:
    """The same file as committed passes, and so does the mode that asks for nothing."""
    file = repository / "order.avsc"
    assert _feed("check", str(file), "--against", "git:HEAD").exit_code == 0
    _write(file, total_type="string")
    assert _feed("check", str(file), "--against", "git:HEAD", "--compatibility", "NONE").exit_code == 0


@pytest.mark.parametrize(
    "revision, sentence",
    [("HEAD~1", "HEAD~1 has no order.avsc"), ("HEAD~2", "there is no commit HEAD~2, HEAD is the first")],
)
def test_a_past_without_the_schema_is_said_and_passes(repository: Path, revision: str, sentence: str) -> None:
    """In the commit that adds the schema, and in a repository's first, nothing is compared: said, not failed."""
    result = _feed("check", str(repository / "order.avsc"), "--against", f"git:{revision}")
    assert result.exit_code == 0, result.output
    assert sentence in result.output


def test_a_release_that_was_changed_or_removed_is_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody passes the gate by editing what it compares with: released files are frozen, also by git."""
    monkeypatch.setattr(command, "BUNDLED_FOLDER", repository)
    releases = repository / "released"
    releases.mkdir()
    for number in (1, 2, 3):
        (releases / f"order.{number}.avsc").write_text(f'{{"number": {number}}}')
    _git(repository, "add", ".")
    _git(repository, "commit", "-q", "-m", "three releases")
    arguments = ("check", str(repository / "order.avsc"), "--against", "git:HEAD")
    assert _feed(*arguments).exit_code == 0
    (releases / "order.1.avsc").write_text("{}")
    (releases / "order.2.avsc").unlink()
    result = _feed(*arguments)
    assert result.exit_code == 1
    assert "order.1.avsc was changed" in result.output
    assert "order.2.avsc was removed" in result.output
    assert "order.3.avsc" not in result.output


def test_a_revision_that_does_not_exist_does_not_pass(repository: Path) -> None:
    """A typing error in CI must not open the gate."""
    result = _feed("check", str(repository / "order.avsc"), "--against", "git:mian")
    assert isinstance(result.exception, ConfigError)
    assert "no revision mian" in str(result.exception)


def test_a_shallow_clone_does_not_pass(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A clone of depth 1 cannot answer for HEAD~1: the gate stays shut and says what to fetch."""
    clone = tmp_path_factory.mktemp("clone") / "c"
    _git(repository, "clone", "-q", "--depth=1", f"file://{repository}", str(clone))
    result = _feed("check", str(clone / "order.avsc"), "--against", "git:HEAD~1")
    assert isinstance(result.exception, ConfigError)
    assert "shallow" in str(result.exception)
    assert "fetch-depth 2" in result.exception.hint


def test_outside_git_and_with_unknown_targets_it_says_so(tmp_path: Path) -> None:
    """What cannot be compared ends in a ConfigError with a hint."""
    _write(tmp_path / "order.avsc")
    for against, sentence in [("git:HEAD", "not in a git repository"), ("yesterday", "--against yesterday is unknown")]:
        result = _feed("check", str(tmp_path / "order.avsc"), "--against", against)
        assert isinstance(result.exception, ConfigError)
        assert sentence in str(result.exception)


def test_a_release_is_frozen_once_and_must_pass_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Releasing writes the next number's file, does nothing when nothing changed, and refuses what is incompatible."""
    monkeypatch.setattr(command, "BUNDLED_FOLDER", tmp_path)
    assert "unchanged since release 1" in _feed("release", "order").output
    file = tmp_path / "order.avsc"
    image = bundled.load("order")
    image["fields"].append({"name": "vat", "type": ["null", "string"], "default": None})
    file.write_text(json.dumps(image))
    assert "release 2 written" in _feed("release", str(file)).output
    assert json.loads((tmp_path / "released" / "order.2.avsc").read_text()) == change_schema(image)
    _write(file, total_type="string")
    refused = _feed("release", str(file)).exception
    assert isinstance(refused, FatalError)
    assert "Order.total" in str(refused)


def test_schemas_are_shown_as_json() -> None:
    """`show` prints the schema of changes, of the image, or of a release, for other programs."""
    assert json.loads(_feed("show").output) == change_schema(bundled.load("order"))
    assert json.loads(_feed("show", "order", "--part", "image").output) == bundled.load("order")
    assert json.loads(_feed("show", "order", "--version", "1").output)["name"] == "OrderChange"
    missing = _feed("show", "order", "--version", "99").exception
    assert isinstance(missing, ConfigError)


def test_what_is_in_use_and_registered_is_listed() -> None:
    """`list` names every version and says whether the schema in use is one of them."""
    output = _feed("list").output
    assert "order version 1 id " in output
    assert "in use: order fingerprint " in output


def test_the_package_registers_nothing_by_itself() -> None:
    """`register` without a registry explains that a release does it."""
    assert isinstance(_feed("register").exception, ConfigError)


def test_values_from_a_pipe_are_printed_as_json(codec: ChangeCodec, change_of: Callable[..., Change]) -> None:
    """What kcat writes with %R%s comes out as an event a line; poison is told in its place, a tombstone passed over."""
    value = codec.encode(change_of())
    piped = b"".join(len(part).to_bytes(4, "big") + part for part in (value, b"junk", value))
    result = CliRunner().invoke(command.app, ["decode"], input=b"\xff\xff\xff\xff" + piped)
    assert result.exit_code == 0, result.output
    first, poison, again = (json.loads(line) for line in result.output.splitlines())
    assert first == again
    assert (first["op"], first["after"]["total"], first["key"]) == ("u", "39.90", {"orderId": "o-1"})
    assert "no known framing" in poison["poison"]
    for wrong in (piped[:-1], b"\x00\x00", b"text that is no length"):
        assert isinstance(CliRunner().invoke(command.app, ["decode"], input=wrong).exception, ConfigError)
