"""A replay of a million archived changes into a real topic, order kept: rate, CPU and memory.

    python benchmarks/sinks/replay.py make /tmp/archive --records 1000000
    python benchmarks/sinks/replay.py send /tmp/archive --from-s3

``make`` lets the archive's own writer store changes of 115 bytes (as ``backlog.py`` has them) in a folder; ``send``
starts a broker, replays that folder (or what it holds, put into an S3 server that is started too) without a limit of
rate, and reads the topic back: every change once, in order. CPU is this process's: neither the broker's nor S3's.
"""

# ruff: noqa: ARG002 - the bucket's stand-in has the signatures of the real one

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from backlog import FETCH, START_MS, fetches
from prometheus_client import CollectorRegistry

from connectors.aws import AwsClients, AwsSettings
from connectors.kafka import KafkaClients, KafkaSettings, TopicSpec
from connectors.s3 import BucketSpec, ObjectHead, ObjectStore, PutOutcome, StoredObject, ensure_bucket
from consumers.archive import ArchiveSettings, ArchiveSink, all_runs
from consumers.columns import Declared
from consumers.runtime.contracts import Partition
from feed.local import Broker, Guardian, LocalSettings, Site
from feed.local import ObjectStore as S3Server
from feed.local.jars import kafka_jars
from feed.local.tools import require_java
from feed.replay.archived import Archived
from producers.replay import Counts, ReplayTopic, ReplayWriter, Selection, Sending, Sorter, gather
from schemas.headers import facts_of
from schemas.replay import NO_OFFSET, ReplayMarker, marker_of

TOPIC = "orders.replay.warehouse"
SELECTION = Selection(0, START_MS * 2)


class Folder(ObjectStore):
    """Objects as files."""

    def __init__(self, root: Path) -> None:
        self.bucket, self.root = "benchmark", root

    def put_create_only(
        self,
        key: str,
        body: bytes,
        metadata: Mapping[str, str] | None = None,
        *,
        retain_until: datetime | None = None,
        content_type: str = "",
    ) -> PutOutcome:
        file = self.root / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        return PutOutcome.CREATED

    def get(self, key: str, *, version_id: str = "") -> StoredObject | None:
        file = self.root / key
        if not file.is_file():
            return None
        body = file.read_bytes()
        return StoredObject(ObjectHead(key, len(body), datetime.now(UTC)), body)

    def head(self, key: str, *, version_id: str = "") -> ObjectHead | None:
        file = self.root / key
        return ObjectHead(key, file.stat().st_size, datetime.now(UTC)) if file.is_file() else None

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[ObjectHead]:
        for file in sorted(self.root.rglob("*.parquet")):
            key = str(file.relative_to(self.root))
            if key.startswith(prefix) and key > start_after:
                yield ObjectHead(key, file.stat().st_size, datetime.now(UTC))

    def folders(self, prefix: str) -> Iterator[str]:
        for folder in sorted((self.root / prefix).iterdir()):
            if folder.is_dir():
                yield f"{folder.relative_to(self.root)}/"


def make(root: Path, records: int, partitions: int) -> None:
    """Store an archive."""
    settings = ArchiveSettings(bucket="benchmark")
    sink = ArchiveSink(Folder(root), settings, registry=CollectorRegistry(), now_ms=lambda: START_MS)
    writers = [sink.open(Partition("cluster", "topic", "orders", n), 0)[1] for n in range(partitions)]
    for partition, batch in fetches(partitions, records):
        writers[partition].add(batch)
    for writer in writers:
        writer.flush()
    sink.executor.shutdown()
    objects = list(root.rglob("*.parquet"))
    print(f"made {records} records, {len(objects)} objects, {sum(f.stat().st_size for f in objects) / 1e6:.0f} MB")


def in_s3(server: S3Server, folder: Folder) -> ObjectStore:
    """The folder's objects, put into a bucket of the server."""
    keys = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
    settings = AwsSettings.model_validate({"region": "eu-west-1", "endpoints": {"s3": server.endpoint}, **keys})
    client = AwsClients(settings).client("s3")
    ensure_bucket(client, BucketSpec("benchmark", "eu-west-1"))
    store = ObjectStore(client, "benchmark")
    for head in folder.list("archive/"):
        stored = folder.get(head.key)
        assert stored is not None
        store.put_create_only(head.key, stored.body)
    return store


def send(store: ObjectStore, clients: KafkaClients, partitions: int, memory_bytes: int) -> int:
    """Replay an archive, and say what that took; how many there were."""
    pa.set_memory_pool(pa.system_memory_pool())  # as the command does
    topic = ReplayTopic(clients, TOPIC)
    topic.create(TopicSpec(TOPIC, partitions, 1, {"retention.ms": "-1"}), read_by="orders.warehouse.replay")
    started, cpu = time.perf_counter(), time.process_time()
    counts = Counts(partitions)
    with tempfile.TemporaryDirectory() as folder:
        sorter = Sorter(Path(folder), memory_bytes=memory_bytes, spill_bytes=2**40)
        archived = Archived(store, "archive", all_runs(store, "archive", "orders"), parallel=4)
        gather(archived.tables(lambda _: None), SELECTION, sorter, counts=counts, after="")
        assert not archived.gaps(Declared(), [])
        spilled = sorter.spilled_bytes
        gathered, gathered_cpu = time.perf_counter(), time.process_time()
        writer = ReplayWriter.take(clients, TOPIC, commit_timeout_ms=10_000)
        markers = [ReplayMarker("begin", "r", 0, 1, "", NO_OFFSET, counts.by_partition[n]) for n in range(partitions)]
        sending = Sending(
            writer, "r", [0] * partitions, batch_records=10_000, rate_per_s=10**9,
            clock_s=time.monotonic, sleep=time.sleep, progress=lambda _: None,
        )  # fmt: skip
        sending.begin(markers)
        sending.send(sorter.ordered())
        sending.end(markers)
    ended, ended_cpu = time.perf_counter(), time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{counts.records} records, {spilled / 1e6:.0f} MB on disk: {counts.records / (ended - started):.0f}/s, "
        f"{ended_cpu - cpu:.1f} CPU s (reading and sorting in pieces {gathered - started:.1f} s, "
        f"{gathered_cpu - cpu:.1f} CPU s; merging and sending {ended - gathered:.1f} s, "
        f"{counts.records / (ended - gathered):.0f}/s, {ended_cpu - gathered_cpu:.1f} CPU s), peak {peak:.0f} MB"
    )
    return counts.records


def check(clients: KafkaClients, partitions: int, records: int) -> None:
    """Read the topic back."""
    from confluent_kafka import TopicPartition  # noqa: PLC0415 - not a part of what is measured

    seen, sequences = 0, set()
    for number in range(partitions):
        reader = clients.reader()
        reader.assign([TopicPartition(TOPIC, number, 0)])
        last, count, at_end = -1, 0, False
        while not at_end:
            for message in reader.consume(FETCH, 1.0):
                if message.error() is not None:
                    at_end = True
                elif (marker := marker_of(message.headers())) is None:
                    sequence = facts_of(message.headers()).sequence
                    assert sequence > last, "out of order"
                    last, count = sequence, count + 1
                    sequences.add(sequence)
                elif marker.kind == "end":
                    assert marker.count == count
        seen += count
        reader.close()
    assert seen == len(sequences) == records, (seen, len(sequences))
    print(f"read back: {seen} changes, each once, in the order of versions in each of {partitions} partitions")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("make", "send"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--memory-mib", type=int, default=256)
    parser.add_argument("--from-s3", action="store_true", help="send: read from an S3 server instead of the folder")
    given = parser.parse_args()
    if given.what == "make":
        make(given.folder, given.records, given.partitions)
        return
    with tempfile.TemporaryDirectory() as state:
        guardian = Guardian()
        site = Site(Path(state) / "state", Path(state) / "logs", guardian, LocalSettings(), disposable=True)
        java = require_java(install=site.settings.install_missing)
        broker = Broker("benchmark", site, java=java, jars=kafka_jars(site.settings))
        s3 = S3Server(site)
        parts: list[Broker | S3Server] = [broker, s3] if given.from_s3 else [broker]
        try:
            for part in parts:
                part.start()
            for part in parts:
                part.wait_ready()
            folder = Folder(given.folder)
            store = in_s3(s3, folder) if given.from_s3 else folder
            clients = KafkaClients(KafkaSettings(bootstrap_servers=broker.bootstrap), client_id="benchmark")
            records = send(store, clients, given.partitions, given.memory_mib * 2**20)
            check(clients, given.partitions, records)
        finally:
            for part in parts:
                part.finish()
            guardian.close()


if __name__ == "__main__":
    main()
