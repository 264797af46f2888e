"""Small decisions of the local parts: names, versions, ports, variables."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from feed.local.broker import new_cluster_id
from feed.local.containers import variable_of
from feed.local.jars import POMS, folder_name
from feed.local.kafka_image import content_tag
from feed.local.ports import HIGHEST, LOWEST, PortBook, free_port
from feed.local.run_logs import KEPT_RUNS, new_log_dir
from feed.local.shards import _SCHEMA, _statements
from feed.local.state_lock import lock_folder
from feed.local.tools import java_version
from feed.testing import unique_name
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    "text,version",
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_392"', 8),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_java_says_its_version_in_several_ways(text: str, version: int | None) -> None:
    """Modern, very old and absent runtimes are told apart (macOS has a java that is none)."""
    assert java_version(text) == version


def test_other_content_is_another_folder() -> None:
    """A jar folder follows the pom and the properties, and neither their order nor anything else."""
    name = folder_name("kafka", b"<project/>", {"a": "1", "b": "2"})
    assert name == folder_name("kafka", b"<project/>", {"b": "2", "a": "1"})
    assert (
        len(
            {
                name,
                folder_name("kafka", b"<project />", {"a": "1", "b": "2"}),
                folder_name("kafka", b"<project/>", {"a": "1"}),
            }
        )
        == 3
    )


def test_dynamodb_local_stays_below_3() -> None:
    """Version 3 never rolls a shard and mislabels the deletes of TTL."""
    found = re.search(r"<dynamodb.version>(\d+)\.", (POMS / "dynamodb.xml").read_text())
    assert found is not None
    assert int(found[1]) < 3


def test_an_image_is_named_after_its_files(tmp_path: Path) -> None:
    """Content, names, the right to execute, and what else is given all count."""
    file = tmp_path / "run"
    file.write_text("x")
    tags = [content_tag(tmp_path)]
    file.chmod(0o755)
    tags.append(content_tag(tmp_path))
    file.write_text("y")
    tags.append(content_tag(tmp_path))
    file.rename(tmp_path / "walk")
    tags.append(content_tag(tmp_path))
    tags.append(content_tag(tmp_path, "base"))
    assert len(set(tags)) == 5


@pytest.mark.parametrize(
    "key,variable",
    [
        ("log.dirs", "KAFKA_LOG_DIRS"),
        ("listener.name.a_b.sasl", "KAFKA_LISTENER_NAME_A__B_SASL"),
        ("some-plugin.on", "KAFKA_SOME___PLUGIN_ON"),
    ],
)
def test_a_property_becomes_the_image_s_variable(key: str, variable: str) -> None:
    """Dots, underscores and hyphens stay distinct, by the rule of Kafka's image."""
    assert variable_of(key) == variable


def test_a_cluster_id_never_looks_like_an_option() -> None:
    """Kafka's tools take a leading dash for an option."""
    assert all(not new_cluster_id().startswith("-") for _ in range(500))


def test_ports_are_free_different_and_below_the_outgoing_ones() -> None:
    """A port is given once, can be bound, and is never one that the system may take for a client."""
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(LOWEST <= port < HIGHEST < 32_768 for port in ports)
    with socket.socket() as server:
        server.bind(("127.0.0.1", ports[0]))


def test_other_processes_get_other_ports() -> None:
    """What one process was given, another is not, although nobody listens there yet."""
    mine = {free_port() for _ in range(20)}
    script = """
import random, sys
from feed.local.ports import free_port
random.seed(1)  # both try the same numbers
print(*(free_port() for _ in range(20)), flush=True)
sys.stdin.read()
"""
    first, second = (
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    )
    found = []
    for process in (first, second):
        assert process.stdout is not None
        found.append({int(word) for word in process.stdout.readline().split()})
    for process in (first, second):
        process.communicate(timeout=20)
    assert not found[0] & found[1]
    assert not mine & (found[0] | found[1])


def test_only_the_last_runs_keep_their_logs(tmp_path: Path) -> None:
    """Old log folders go, those of the last day stay however many they are."""
    for number in range(KEPT_RUNS + 5):
        (tmp_path / f"old-{number}").mkdir()
        os.utime(tmp_path / f"old-{number}", (number, number))
    new_log_dir(tmp_path)
    assert len(list(tmp_path.iterdir())) == KEPT_RUNS
    assert (tmp_path / f"old-{KEPT_RUNS + 4}").exists()
    for _ in range(KEPT_RUNS + 5):
        new_log_dir(tmp_path)
    assert len([folder for folder in tmp_path.iterdir() if not folder.name.startswith("old")]) == KEPT_RUNS + 6


def test_a_script_is_taken_apart_into_statements() -> None:
    """Each trigger, semicolons inside and all, is one statement."""
    statements = _statements(_SCHEMA)
    assert len(statements) == 3
    assert [statement.count("CREATE") for statement in statements] == [1, 1, 1]


def test_unique_names_fit_everywhere() -> None:
    """Two are never the same, and an S3 bucket may have such a name."""
    names = {unique_name("bucket") for _ in range(1000)}
    assert len(names) == 1000
    assert all(re.fullmatch(r"[a-z0-9-]{3,63}", name) for name in names)


def test_a_data_folder_has_one_owner(tmp_path: Path) -> None:
    """A second stack on the same folder is refused with the first one's process id; afterwards it may have it."""
    held = lock_folder(tmp_path / "data")
    with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"):
        lock_folder(tmp_path / "data")
    held.close()
    lock_folder(tmp_path / "data").close()


def test_ports_are_the_same_the_next_time_if_they_are_free(tmp_path: Path) -> None:
    """Another process gets the ports of the last one from the book, and a new one for what is taken."""
    script = f"""
from pathlib import Path
from feed.local.ports import PortBook
book = PortBook(Path({str(tmp_path / "ports.json")!r}))
print(book.port("kafka"), book.port("s3"))
"""

    def ports() -> list[str]:
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    first = ports()
    assert ports() == first
    with socket.create_server(("127.0.0.1", int(first[0]))):
        second = ports()
        assert second[0] != first[0]
        assert second[1] == first[1]
    (tmp_path / "ports.json").write_text("not json")
    assert len(set(ports())) == 2


def test_a_book_without_a_file_gives_free_ports() -> None:
    """Two purposes, two ports."""
    book = PortBook()
    assert book.port("a") != book.port("b")
