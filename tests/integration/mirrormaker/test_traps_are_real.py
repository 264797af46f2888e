"""What rules of the doctor claim, seen on a real MirrorMaker that runs the bad line."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from mirrormaker import render_dedicated
from mirrormaker.doctor import diagnose
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
