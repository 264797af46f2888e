"""What rules of the doctor claim, seen on a real MirrorMaker that runs the bad line."""

from __future__ import annotations

import json
import os
import time
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


def test_isolation_level_without_the_clusters_name(
    mirror_bench: MirrorBench, unique_name: Callable[[str], str]
) -> None:
    """MM02, MM04: without `eu.` in front the line reaches no consumer, and aborted records are copied."""
    feed = unique_name("orders")
    bad = render_dedicated(mirror_bench.flow(feed)).replace("eu.consumer.isolation.level", "consumer.isolation.level")
    assert {"MM02", "MM04"} <= codes(bad)
    mirror_bench.create(feed)
    mirror_bench.produce(feed, [b"aborted"] * 20, abort=True)
    mirror_bench.produce(feed, [b"committed"] * 20)
    part = mirror_bench.mirror(f"mirror-{feed}", bad)
    try:
        copies = mirror_bench.copies(feed, 40)
    finally:
        part.finish()
    assert copies.count(b"aborted") == 20


def test_a_record_larger_than_the_request(mirror_bench: MirrorBench, unique_name: Callable[[str], str]) -> None:
    """MM40: with the default size the task fails for good at the first large change."""
    feed = unique_name("orders")
    good = render_dedicated(mirror_bench.flow(feed))
    bad = "\n".join(line for line in good.splitlines() if "max.request.size" not in line)
    assert "MM40" in codes(bad)
    mirror_bench.create(feed)
    mirror_bench.produce(feed, [os.urandom(1_500_000)])
    part = mirror_bench.mirror(f"mirror-{feed}", bad)
    try:
        part.wait_for(b"Task is being killed and will not recover until manually restarted")
        assert b"RecordTooLargeException" in part.log()
    finally:
        part.finish()


def test_required_in_dedicated_mode(mirror_bench: MirrorBench, unique_name: Callable[[str], str]) -> None:
    """MM05: two of the three connectors refuse the line."""
    feed = unique_name("orders")
    bad = render_dedicated(mirror_bench.flow(feed)) + "eu->us.exactly.once.support = required\n"
    assert "MM05" in codes(bad)
    mirror_bench.create(feed)
    part = mirror_bench.mirror(f"mirror-{feed}", bad)
    try:
        part.wait_for(b"Failed to configure MirrorHeartbeatConnector connector for eu->us")
        part.wait_for(b"Failed to configure MirrorCheckpointConnector connector for eu->us")
    finally:
        part.finish()


def test_an_inline_comment(mirror_bench: MirrorBench, unique_name: Callable[[str], str]) -> None:
    """MM01: the comment is part of the value, here of an alias: there is no cluster `us`, and the process ends."""
    feed = unique_name("orders")
    bad = render_dedicated(mirror_bench.flow(feed)).replace("clusters = eu, us", "clusters = eu, us # both")
    assert "MM01" in codes(bad)
    part = mirror_bench.mirror(f"mirror-{feed}", bad)
    try:
        part.wait_for(b"No source->target replication flows")
    finally:
        part.finish()


def test_a_herder_for_every_pair(mirror_bench: MirrorBench, unique_name: Callable[[str], str]) -> None:
    """MM10: a third name in `clusters` with heartbeats on starts a herder that nobody asked for."""
    feed = unique_name("orders")
    good = render_dedicated(mirror_bench.flow(feed))
    bad = good.replace("clusters = eu, us", "clusters = eu, us, ap").replace("emit.heartbeats.enabled = false", "")
    bad += f"ap.bootstrap.servers = {mirror_bench.bootstrap('eu')}\nap->us.enabled = false\n"
    assert "MM10" in codes(bad)
    part = mirror_bench.mirror(f"mirror-{feed}", bad)
    try:
        part.wait_for(b"creating herder for ap->us")
    finally:
        part.finish()


def test_the_targets_retention_is_wiped(mirror_bench: MirrorBench, unique_name: Callable[[str], str]) -> None:
    """MM13: with the sync on, what the source does not set is deleted at the target."""
    feed = unique_name("orders")
    good = render_dedicated(mirror_bench.flow(feed))
    bad = good.replace("sync.topic.configs.enabled = false", "sync.topic.configs.enabled = true")
    assert "MM13" in codes(bad)
    create_topics(mirror_bench.bootstrap("eu"), {feed: 1})
    create_topics(mirror_bench.bootstrap("us"), {feed: 1}, settings={"retention.ms": "86400000"})
    assert mirror_bench.topic_setting("us", feed, "retention.ms") == "86400000"
    part = mirror_bench.mirror(f"mirror-{feed}", bad + "sync.topic.configs.interval.seconds = 2\n")
    try:
        deadline = time.monotonic() + 90
        while mirror_bench.topic_setting("us", feed, "retention.ms") == "86400000":
            assert time.monotonic() < deadline, "retention was kept"
            time.sleep(0.5)
    finally:
        part.finish()


@pytest.mark.parametrize("version,copied", [("3.9.1", False), ("4.3.1", True)])
def test_topics_that_end_in_internal(
    mirror_bench: MirrorBench, unique_name: Callable[[str], str], version: str, copied: bool
) -> None:
    """MM29: a wide pattern copies `<name>.internal` since 4.0, and did not before."""
    feed = unique_name("orders")
    wide = render_dedicated(mirror_bench.flow(feed)).replace(f"topics = {feed}, ", f"topics = {feed}.*, ")
    report = diagnose({"mm2.properties": wide}, version=KafkaVersion.parse(version))
    assert ("MM29" in {finding.code for finding in report.findings}) == copied
    for topic in (feed, f"{feed}.internal"):
        for region in ("eu", "us"):
            create_topics(mirror_bench.bootstrap(region), {topic: 1})
        mirror_bench.produce(topic, [b"one"])
    part = mirror_bench.mirror(f"mirror-{feed}", wide, version=version)
    try:
        assert mirror_bench.copies(feed, 1, within_s=90) == [b"one"]
        found = mirror_bench.copies(f"{feed}.internal", 1, within_s=20 if copied else 3)
    finally:
        part.finish()
    assert found == ([b"one"] if copied else [])


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
