"""What rules of the doctor claim, seen on a real MirrorMaker or worker that runs the bad line alone."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from feed.local.ports import free_port
from feed.testing import create_topics
from mirrormaker import Deployment, Form, render, render_dedicated
from mirrormaker.doctor import KafkaVersion, diagnose
from tests.integration.mirrormaker.mirror_bench import MirrorBench

pytestmark = pytest.mark.integration


def codes(text: str) -> set[str]:
    return {finding.code for finding in diagnose({"mm2.properties": text}).findings}


def test_an_inline_comment(mirror_bench: MirrorBench, unique_name: Callable[[str], str]) -> None:
    """MM01, MM48: the comment is part of the value, here of an alias: there is no cluster `us`, the process ends."""
    feed = unique_name("orders")
    bad = render_dedicated(mirror_bench.flow(feed)).replace("clusters = eu, us", "clusters = eu, us # both")
    assert "MM01" in codes(bad)
    part = mirror_bench.mirror(f"mirror-{feed}", bad)
    try:
        part.wait_for(b"No source->target replication flows")
    finally:
        part.finish()


def test_topics_that_end_in_internal(mirror_bench: MirrorBench, unique_name: Callable[[str], str]) -> None:
    """MM29, before 4.0: a wide pattern does not copy `<name>.internal`; what 4.3 does is in the other module."""
    feed = unique_name("orders")
    wide = render_dedicated(mirror_bench.flow(feed)).replace(f"topics = {feed}, ", f"topics = {feed}.*, ")
    report = diagnose({"mm2.properties": wide}, version=KafkaVersion.parse("3.9"))
    assert "MM29" not in {finding.code for finding in report.findings}
    for topic in (feed, f"{feed}.internal"):
        for region in ("eu", "us"):
            create_topics(mirror_bench.bootstrap(region), {topic: 1})
        mirror_bench.produce(topic, [b"one"])
    part = mirror_bench.mirror(f"mirror-{feed}", wide, version="3.9.1")
    try:
        assert mirror_bench.copies(feed, 1, within_s=90) == [b"one"]
        found = mirror_bench.copies(f"{feed}.internal", 1, within_s=3)
    finally:
        part.finish()
    assert found == []


def test_headers_through_connects_own_converter(mirror_bench: MirrorBench, unique_name: Callable[[str], str]) -> None:
    """MM20: without a byte converter for headers, their values are other bytes in the copy."""
    feed = unique_name("orders")
    mirror_bench.create(feed)
    mirror_bench.produce(feed, [b"value one"])
    url = f"http://127.0.0.1:{free_port()}"
    files = render(Form.CONNECT, mirror_bench.flow(feed), Deployment(rest_listener=url)).files
    document = json.loads(files["eu-us-source.json"])
    config = {key: value for key, value in document["config"].items() if key != "header.converter"}
    lines = files["eu-us-worker.properties"].splitlines()
    plain = "\n".join(line for line in lines if not line.startswith("header.converter"))
    report = diagnose({"worker.properties": plain, "source.json": json.dumps({"config": config})})
    assert "MM20" in {finding.code for finding in report.findings}
    worker = mirror_bench.worker(f"connect-{feed}", plain)
    try:
        worker.wait_ready()
        created = httpx.put(f"{url}/connectors/{document['name']}/config", json=config, timeout=60)
        assert created.is_success, created.text
        assert mirror_bench.copies(feed, 1, within_s=90) == [b"value one"]
    finally:
        worker.finish()
    assert mirror_bench.headers("us", feed) != mirror_bench.headers("eu", feed) == [("ce_id", b"value on")]
