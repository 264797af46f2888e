"""What the members of a group of a batch sink leave behind in S3 and in the data warehouse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.aws import AwsClients, AwsSettings
from connectors.kafka import KafkaClients
from connectors.redshift import Redshift, RedshiftSettings
from connectors.s3 import BucketSpec, ObjectStore, ensure_bucket
from consumers.archive import read_archive
from consumers.audit import OrdinalLedger, read_chain, verify_chain
from consumers.audit.chain import ChainStore
from consumers.runtime import KafkaBroker, Partition, RuntimeSettings
from feed.local import ObjectStore as S3Server
from feed.testing import unique_name
from tests.faults.consumers.effects import sample
from tests.faults.consumers.orders_topic import PARTITIONS, OrdersTopic

REDSHIFT = RedshiftSettings(workgroup="local", copy_role="arn:aws:iam::000000000000:role/copy", poll_interval_ms=50)
REGION = "eu-west-1"


def aws_of(s3: S3Server, **more: str) -> dict[str, Any]:
    """Settings of clients of the local S3 server, and of other services at their endpoints."""
    endpoints = {"s3": s3.endpoint} | {service.replace("_", "-"): endpoint for service, endpoint in more.items()}
    keys = {"access_key_id": s3.access_key_id, "secret_access_key": s3.secret_access_key}
    return {"region": REGION, "endpoints": endpoints, **keys}


class Bucket:
    """A bucket of one sink, and the identity of the topic whose records it holds."""

    def __init__(self, aws: dict[str, Any], *, object_lock: bool = False) -> None:
        self.aws = aws
        self.name = unique_name("bucket")
        self.clients = AwsClients(AwsSettings.model_validate(aws))
        ensure_bucket(self.clients.client("s3"), BucketSpec(self.name, REGION, object_lock=object_lock))
        self.store = ObjectStore(self.clients.client("s3"), self.name)

    def told(self) -> dict[str, Any]:
        return {"aws": self.aws, "bucket": self.name}

    @staticmethod
    def partitions(topic: OrdersTopic) -> list[Partition]:
        clients: KafkaClients = topic.clients
        identity = KafkaBroker(clients, RuntimeSettings()).identify(topic.name, 10)
        return [Partition(identity.cluster_id, identity.topic_id, topic.name, n) for n in range(PARTITIONS)]


class AuditLog:
    """The chains."""

    sink = "audit"

    def __init__(self, s3: S3Server) -> None:
        self._bucket = Bucket(aws_of(s3), object_lock=True)
        self.told = self._bucket.told

    def close(self) -> None:
        """Its server goes with the session."""

    def check_committed(self, topic: OrdersTopic, committed: Mapping[int, int]) -> None:
        """Each chain reaches at least to what is committed."""
        for partition in self._bucket.partitions(topic):
            offset = committed[partition.number]
            head = ChainStore(self._bucket.store, "audit", partition).find_head(offset)
            assert (head.last + 1 if head is not None else 0) >= offset, partition

    def check_all(self, topic: OrdersTopic) -> str:
        """The chains verify and hold the topic record for record; every ordinal is there, once."""
        ledger, segments = OrdinalLedger(), 0
        for partition in self._bucket.partitions(topic):
            found = [(r.offset(), r.value()) for r in read_chain(self._bucket.store, "audit", partition)]
            assert found == topic.records(partition.number)
            report = verify_chain(self._bucket.store, "audit", partition, ledger=ledger, now=datetime.now(UTC))
            assert report.findings == []
            segments += report.segments
        assert (ledger.total(), ledger.missing(), ledger.repeated()) == (topic.changes, {}, {})
        return f"{segments} segments verify and hold the topic record for record, every ordinal once"


class Archive:
    """The minutes."""

    sink = "archive"

    def __init__(self, s3: S3Server) -> None:
        self._bucket = Bucket(aws_of(s3))
        self.told = self._bucket.told

    def close(self) -> None:
        """Its server goes with the session."""

    def check_committed(self, topic: OrdersTopic, committed: Mapping[int, int]) -> None:
        """A few of the committed records are found by their event time."""
        at = {(change.source.ordinal): place for place, change in list(topic.at.items())}
        partitions = self._bucket.partitions(topic)
        for change in sample(topic, committed)[:3]:
            number, offset = at[change.source.ordinal]
            when = change.occurred_at_ms
            found = read_archive(self._bucket.store, "archive", partitions[number], from_ms=when, to_ms=when + 1)
            assert offset in {record.offset() for record in found}, (number, offset)

    def check_all(self, topic: OrdersTopic) -> str:
        """The archive holds the topic record for record, each once."""
        for partition in self._bucket.partitions(topic):
            found = [(r.offset(), r.value()) for r in read_archive(self._bucket.store, "archive", partition)]
            assert sorted(found) == topic.records(partition.number)
        return f"{topic.changes} records, each once in its minute"


class Reports:
    """The data warehouse behind a Data API."""

    sink = "analytics"

    def __init__(self, s3: S3Server, data_api_endpoint: str) -> None:
        self._bucket = Bucket(aws_of(s3, redshift_data=data_api_endpoint))
        self.told = self._bucket.told
        self._redshift = Redshift(self._bucket.clients.client("redshift-data"), REDSHIFT)
        self._query: Callable[[str], list[dict[str, Any]]] = self._redshift.query

    def close(self) -> None:
        """Its server goes with the session."""

    def check_committed(self, topic: OrdersTopic, committed: Mapping[int, int]) -> None:
        """The warehouse's ledger stands at least where Kafka's commits stand."""
        rows = self._query("SELECT partition_number AS n, next_offset AS o FROM public.load_ledger")
        ledger = {int(row["n"]): int(row["o"]) for row in rows}
        assert all(ledger.get(number, 0) >= offset for number, offset in committed.items()), (ledger, committed)

    def check_all(self, topic: OrdersTopic) -> str:
        """The history has each ordinal once, the current state is the last word on each order."""
        counted = "count(*) AS n, count(DISTINCT feed_ordinal) AS d, max(feed_ordinal) AS top"
        (row,) = self._query(f"SELECT {counted} FROM public.orders_history")
        assert (row["n"], row["d"], row["top"]) == (topic.changes, topic.changes, topic.changes - 1)
        rows = self._query("SELECT feed_key AS k, feed_version AS v FROM public.orders_current")
        assert {row["k"]: row["v"] for row in rows} == {
            order_id: changes[-1].version.to_text() for order_id, changes in topic.written.items()
        }
        return f"{topic.changes} changes in the history, every ordinal once; the last word on {len(rows)} orders"
