"""The short form of the campaign: audit and archive killed at a few points on a real broker, while S3 fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from feed.local import ObjectStore
from feed.testing import KafkaBroker
from tests.faults.sinks.campaign import Campaign

pytestmark = pytest.mark.faults


def test_kills_while_s3_fails(kafka_broker: KafkaBroker, s3_server: ObjectStore, tmp_path: Path) -> None:
    """At 400 changes a second: after kills between upload and commit both stores hold the topic, every change once."""
    points = {"audit": ("after-upload", "before-commit"), "archive": ("after-upload", "after-commit")}
    with Campaign(kafka_broker.bootstrap, s3_server, None, tmp_path, list(points)) as campaign:
        campaign.run(each=1, minutes=0, rate=400, points=points)
    assert {sink: struck.total() for sink, struck in campaign.struck.items()} == {"audit": 2, "archive": 2}
