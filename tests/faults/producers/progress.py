"""A steady writer that keeps a ledger, and a follower of what becomes readable: what progress is told by."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from feed.testing import RollingTable, Table
from feed.verify import Verdict, expect
from feed.verify.record import RecordReader
from feed.verify.topics import TopicReader, TopicsAudit, read_control
from feed.workload.digest import image_digest
from feed.workload.ledger import Entry
from schemas.change import Op
from schemas.headers import facts_of
from schemas.position import Position
from tests.integration.producers.producer_bench import CODEC, PARTITIONS, SLOTS, Bench, order


class SteadyWriter:
    """Writes the next revision of each order in turn, at a rate, and keeps an entry of every acknowledged write."""

    def __init__(
        self, table: RollingTable | Table, *, orders: int = 64, rate_per_s: float = 100.0, threads: int = 1
    ) -> None:
        self.entries: list[Entry] = []
        self.revisions: dict[str, int] = defaultdict(int)
        self._client, self._table = table.aws.client("dynamodb"), table.name
        self._rate_per_s = rate_per_s / threads
        self._stop, self._lock = threading.Event(), threading.Lock()
        # an order belongs to one thread, so that its revisions are written one after the other
        shares = [[f"o-{number:03d}" for number in range(orders) if number % threads == own] for own in range(threads)]
        self._threads = [threading.Thread(target=self._run, args=(share,), daemon=True) for share in shares]

    def _run(self, names: list[str]) -> None:
        begun = time.monotonic()
        number = 0
        while not self._stop.is_set():
            self._put(names[number % len(names)])
            number += 1
            self._stop.wait(max(0.0, begun + number / self._rate_per_s - time.monotonic()))

    def _put(self, name: str) -> None:
        revision = self.revisions[name] + 1
        item: dict[str, Any] = order(name, revision)
        called = time.time_ns() // 1_000_000
        while True:
            try:
                self._client.put_item(TableName=self._table, Item=item)
                break
            except (ClientError, BotoCoreError):
                time.sleep(0.01)  # an edit of the file; the same item again changes nothing if it was applied
        entry = Entry(
            name,
            revision,
            Op.CREATE if revision == 1 else Op.UPDATE,
            item["status"]["S"],
            image_digest(item),
            called,
            time.time_ns() // 1_000_000,
        )
        with self._lock:
            self.entries.append(entry)
            self.revisions[name] = revision

    def written(self) -> dict[str, int]:
        """The last acknowledged revision of each order."""
        with self._lock:
            return dict(self.revisions)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@dataclass(slots=True)
class Progress:
    """What a read_committed reader has seen so far."""

    revisions: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Last revision of each order."""
    slots: Counter[int] = field(default_factory=Counter)
    """Positions of shards committed in each slot."""
    finished: set[str] = field(default_factory=set)
    """Shards whose end is committed."""
    changes: int = 0
    stillest_s: float = 0.0
    """Longest time without a new change."""


class ProgressReader:
    """Follows a feed's topic and its positions, read_committed, on a thread."""

    def __init__(self, bench: Bench) -> None:
        self.seen = Progress()
        self._feed = bench.feed
        self._reader = bench.kafka.reader()
        parts = [TopicPartition(bench.feed, p, OFFSET_BEGINNING) for p in range(PARTITIONS)]
        parts += [TopicPartition(f"{bench.feed}.positions", p, OFFSET_BEGINNING) for p in range(SLOTS)]
        self._reader.assign(parts)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        seen, last = self.seen, 0.0
        while not self._stop.is_set():
            for message in self._reader.consume(500, 0.05):
                if message.error() is not None:
                    continue
                if message.topic() != self._feed:
                    self._position(message)
                    continue
                image = CODEC.decode(message.value()).after or {}
                seen.revisions[facts_of(message.headers()).subject] = int(image["revision"])
                seen.changes += 1
                now = time.monotonic()
                seen.stillest_s = max(seen.stillest_s, now - (last or now))
                last = now

    def _position(self, message: Any) -> None:
        key, value = message.key(), message.value()
        if key[:1] == b"@":
            return
        self.seen.slots[message.partition()] += 1
        if value is not None and Position.from_json(key, value).state.terminal:
            self.seen.finished.add(key.decode())

    def reached(self, revisions: Mapping[str, int]) -> bool:
        """Whether all of these became readable."""
        return all(self.seen.revisions[name] >= revision for name, revision in revisions.items())

    def still(self) -> float:
        """Longest time without a new change since the last call."""
        longest, self.seen.stillest_s = self.seen.stillest_s, 0.0
        return longest

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._reader.close()


def verdict_of(bench: Bench, entries: list[Entry]) -> Verdict:
    """The topic against the ledger, and by its ordinals and the shards' lineage: the judges of ``feed verify``."""
    expected = expect(entries)
    control, _ = read_control({"eu": TopicReader(bench.kafka, f"{bench.feed}.control")})
    audit = TopicsAudit({"eu": TopicReader(bench.kafka, bench.feed)}, RecordReader(CODEC), expected)
    audit.run()
    verdict = Verdict(findings=audit.findings(), lineages=audit.lineages(control), changes=expected.changes)
    for message in TopicReader(bench.kafka, f"{bench.feed}.dead-letter").records():
        verdict.dead_letters.add(f"offset {message.offset()}")
    return verdict
