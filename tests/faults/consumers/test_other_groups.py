"""Notification, audit, archive and analytics: processes that die at named points, and a store that hangs."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from feed.local.data_api import DataApi
from tests.faults.consumers import campaign
from tests.faults.consumers.group_bench import GroupBench
from tests.faults.consumers.orders_topic import OrdersTopic
from tests.faults.consumers.stored_effects import AuditLog
from tests.faults.consumers.striking import strike

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(900)]

FAULTS = {
    "notification": "after-effect",
    "audit": "in-flush",
    "archive": "after-effect",
    "analytics": "after-effect",
}
"""The long form, with three members of each group and every kind of fault, is ``campaign.py``."""


def test_a_store_that_hangs_does_not_hold_a_partition(
    kafka_broker: Any, s3_server: Any, local_site: Any, tmp_path: Path
) -> None:
    """S3 freezes, then a member is told to stop: it leaves within its budget, commits nothing more, nothing is lost."""
    topic = OrdersTopic(kafka_broker.bootstrap)
    group = GroupBench(topic, AuditLog(s3_server), local_site, tmp_path, {"revoke_budget_ms": 2_000})
    try:
        group.member("one")
        topic.feed(60)
        group.advance()
        s3_server.pause()
        time.sleep(1)  # an upload is under way, and more is taken
        before = group.committed()
        began = time.monotonic()
        group.stop("one")
        assert time.monotonic() - began < 30, "the process waited for S3, whose time-outs take longer"
        after = group.committed()
        s3_server.resume()
        group.check_commits_are_durable()
        assert max(after[number] - before[number] for number in before) < 60, "more was committed than S3 had taken"
        group.member("two")
        group.advance()
        topic.end_feed()
        group.drained()
        group.effects.check_all(topic)
    finally:
        s3_server.resume()
        topic.close()
        group.close()


def test_the_other_groups(
    kafka_broker: Any, dynamodb_local: Any, s3_server: Any, local_site: Any, tmp_path: Path
) -> None:
    """Notification, audit, archive and analytics, two members each: one of each dies, then every effect is judged."""
    random.seed(1)
    data_api = DataApi(
        local_site,
        s3_endpoint=s3_server.endpoint,
        access_key_id=s3_server.access_key_id,
        secret_access_key=s3_server.secret_access_key,
        name="campaign-db",
    )
    topic, groups = OrdersTopic(kafka_broker.bootstrap), dict[str, GroupBench]()
    try:
        data_api.start()
        data_api.wait_ready()
        parts = campaign.Parts(kafka_broker.bootstrap, dynamodb_local.endpoint, s3_server, data_api.endpoint)
        for sink in FAULTS:
            groups[sink] = GroupBench(topic, parts.effects(sink), local_site, tmp_path)
            for name in ("one", "two"):
                groups[sink].member(name)
        topic.feed(60)
        with ThreadPoolExecutor(len(groups)) as pool:
            list(pool.map(lambda group: group.shared(2), groups.values()))
            list(pool.map(lambda sink: strike(groups[sink], FAULTS[sink], "one"), FAULTS))
            list(pool.map(GroupBench.advance, groups.values()))
        topic.end_feed()
        campaign.judge(groups)
    finally:
        topic.close()
        for group in groups.values():
            group.close()
        data_api.finish()
