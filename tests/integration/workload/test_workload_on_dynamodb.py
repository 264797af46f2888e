"""The workload against DynamoDB Local: its ledger is what the stream says, and a write costs little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from feed.local import DynamoDbLocal
from feed.testing.tables import Table as StreamedTable
from feed.verify import expect
from feed.workload import LedgerReader, WorkloadSettings, image_digest
from feed.workload.run import Table, Workload
from schemas.change import Op
from schemas.errors import FatalError

pytestmark = pytest.mark.integration

OPS = {"INSERT": Op.CREATE, "MODIFY": Op.UPDATE, "REMOVE": Op.DELETE}


def stream_of(table: StreamedTable) -> list[dict[str, Any]]:
    """All records of the table's stream."""
    client = table.aws.client("dynamodbstreams")
    records: list[dict[str, Any]] = []
    for shard in client.describe_stream(StreamArn=table.stream_arn)["StreamDescription"]["Shards"]:
        iterator = client.get_shard_iterator(
            StreamArn=table.stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = client.get_records(ShardIterator=iterator, Limit=1000)
            records += page["Records"]
            iterator = page.get("NextShardIterator") if page["Records"] else None
    return records


def test_the_ledger_is_what_the_stream_says(
    dynamodb_local: DynamoDbLocal, dynamodb_table: Callable[..., StreamedTable], tmp_path: Path
) -> None:
    """Each acknowledged change, and nothing else, is in the stream, in order, images and all, for under 1 ms of CPU."""
    table = dynamodb_table()
    target = Table(table.name, dynamodb_local.endpoint, "eu-west-1", "local", "local-secret")
    settings = WorkloadSettings(rate_per_s=200, seconds=4, lanes=4, delete_share=0.4, pause_ms=200, noop_share=0.1)
    progress = Workload(settings, target, tmp_path / "ledger").run(lambda _: None)
    reader, entries = LedgerReader.whole(tmp_path / "ledger")
    expected = expect(entries)
    assert reader.ended == "done"
    assert progress.writes == expected.writes == len(entries)
    assert progress.cpu_ms_per_write < 1
    assert expected.no_ops > 10
    records = [record["dynamodb"] | {"op": OPS[record["eventName"]]} for record in stream_of(table)]
    assert len(records) == expected.changes
    numbers: dict[str, int] = {}
    for record in records:
        order = record["Keys"]["orderId"]["S"]
        number = numbers[order] = numbers.get(order, 0) + 1
        history = expected.orders[order]
        assert record["op"] is history.op(number)
        assert image_digest(record.get("NewImage")) == history.digest(number)
        assert image_digest(record.get("OldImage")) == history.digest(number - 1)


def test_a_missing_table_ends_the_workload_with_a_sentence(dynamodb_local: DynamoDbLocal, tmp_path: Path) -> None:
    """The error names the refusal, and the ledger's last line says that the run failed."""
    target = Table("no-such-table", dynamodb_local.endpoint, "eu-west-1", "local", "local-secret")
    workload = Workload(WorkloadSettings(seconds=1, lanes=2), target, tmp_path / "ledger")
    with pytest.raises(FatalError, match="the table refused write 1"):
        workload.run(lambda _: None)
    reader, _ = LedgerReader.whole(tmp_path / "ledger")
    assert reader.ended is not None
    assert "refused" in reader.ended
