"""The rules of the layout, read from the source itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("connectors", "producers", "consumers", "mirrormaker", "schemas", "feed")
STAND_INS = ("feed/local/", "feed/testing/")
"""The other side of the wire, and what tests use to look at it."""
CLIENTS = {"Producer", "Consumer", "AdminClient", "SerializingProducer", "DeserializingConsumer"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            yield file.relative_to(ROOT).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def calls(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            target = node.func
            yield (
                target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""
            )


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_the_layers_import_downwards_only() -> None:
    """import-linter finds no import against the layers of the design."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_factory_builds_kafka_clients() -> None:
    """Nothing outside connectors/kafka calls a constructor of a confluent_kafka client."""
    strays = [
        f"{name}: {call}"
        for name, tree in sources()
        if not name.startswith(("connectors/kafka/", *STAND_INS)) and "confluent_kafka" in imported(tree)
        for call in calls(tree)
        if call in CLIENTS
    ]
    assert strays == []


def test_only_the_factory_builds_aws_clients() -> None:
    """Nothing but connectors/aws.py imports boto3, except the local stand-ins, which are another side of the wire."""
    strays = [
        name
        for name, tree in sources()
        if "boto3" in imported(tree) and name != "connectors/aws.py" and not name.startswith(STAND_INS)
    ]
    assert strays == []


def test_the_environment_is_read_in_one_place() -> None:
    """``os.environ`` and ``os.getenv`` stand in feed/config only."""
    strays = [
        f"{name}:{node.lineno}"
        for name, tree in sources()
        if not name.startswith("feed/config/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb"}
    ]
    assert strays == []


def test_no_module_grows_beyond_reading() -> None:
    """No module of the packages has more than 400 lines, and none has a name that says nothing."""
    empty_names = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py", "manager.py"}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            assert file.name not in empty_names, file
            assert len(file.read_text(encoding="utf-8").splitlines()) <= 400, file
