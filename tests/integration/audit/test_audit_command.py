"""``feed audit verify`` on a real bucket, with digests and their anchor in DynamoDB."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from connectors.aws import AwsClients, AwsSettings
from connectors.dynamodb import create_effect_table
from connectors.s3 import BucketSpec, ObjectStore, ensure_bucket
from consumers.audit import AuditSettings, AuditSink, anchor_of, signer_of
from feed.cli import app
from feed.cli import audit as command
from feed.local import DynamoDbLocal
from feed.local import ObjectStore as S3Server
from tests.unit.feed_records import PARTITION, record

pytestmark = pytest.mark.integration


def test_the_command_tells_valid_from_tampered(
    s3_server: S3Server,
    dynamodb_local: DynamoDbLocal,
    unique_name: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit code 0 and a report for a log as it was written, 1 with the finding's name after a segment was hidden."""
    aws = AwsClients(
        AwsSettings.model_validate(
            {
                "region": "eu-west-1",
                "endpoints": {"s3": s3_server.endpoint, "dynamodb": dynamodb_local.endpoint},
                "access_key_id": s3_server.access_key_id,
                "secret_access_key": s3_server.secret_access_key,
            }
        )
    )
    bucket, table = unique_name("audit"), unique_name("anchors")
    ensure_bucket(aws.client("s3"), BucketSpec(bucket, "eu-west-1", object_lock=True))
    create_effect_table(aws.client("dynamodb"), table, "log")
    settings = AuditSettings(
        bucket=bucket,
        retention_days=1,
        signing_key_file=tmp_path / "key.pem",
        anchor_table=table,
        digest_interval_ms=1000,
    )
    sink = AuditSink(
        ObjectStore(aws.client("s3"), bucket),
        settings,
        registry=CollectorRegistry(),
        now_ms=lambda: time.time_ns() // 1_000_000,
        signer=signer_of(settings, aws),
        anchor=anchor_of(settings, aws),
    )
    _, writer = sink.open(PARTITION, 0)
    store = ObjectStore(aws.client("s3"), bucket)
    until = time.monotonic() + 20
    offset = 0
    while len(list(store.list("audit-digests/"))) < 3 and time.monotonic() < until:
        writer.add([record(offset)])
        offset += 1
        writer.flush()
        writer.tick(time.time_ns() // 1_000_000)
    sink.executor.shutdown()

    monkeypatch.setattr(command, "_audit_of", lambda config: ("orders", 1, settings, aws))
    report = tmp_path / "report.json"
    ended = CliRunner().invoke(app, ["audit", "verify", "--json", str(report)])
    assert ended.exit_code == 0, ended.output
    told = json.loads(report.read_text())
    assert told["valid"] is True
    assert told["digests"] >= 3
    assert told["chains"][0]["records"] == offset

    first = next(iter(store.list("audit/")))
    aws.client("s3").delete_object(Bucket=bucket, Key=first.key)
    ended = CliRunner().invoke(app, ["audit", "verify"])
    assert ended.exit_code == 1
    assert "hidden" in ended.output
