"""A feed of its own for a test: topics, a rolling table, workers as processes, a writer with a ledger, and a judge."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from botocore.exceptions import ClientError
from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from connectors.kafka import KafkaClients, KafkaSettings
from feed.local import Program, Site, free_port
from feed.testing import RollingTable, Table, create_topics
from feed.testing.tables import aws_settings
from schemas import bundled
from schemas.codec import ChangeCodec
from schemas.control import ControlEvent, ControlKind, decode_control
from schemas.headers import Facts, facts_of

WORKER = Path(__file__).with_name("producer_worker.py")
PARTITIONS, SLOTS = 4, 8
READ_WITHIN_S = 120.0
CODEC = ChangeCodec.for_image(bundled.load("order"))


def order(name: str, revision: int) -> dict[str, Any]:
    """An item of the table ``orders``."""
    now = str(time.time_ns() // 1_000_000)
    return {
        "orderId": {"S": name},
        "status": {"S": "created"},
        "revision": {"N": str(revision)},
        "customerId": {"S": "c-1"},
        "currency": {"S": "EUR"},
        "total": {"N": "12.5"},
        "lines": {"L": []},
        "createdAt": {"N": now},
        "updatedAt": {"N": now},
    }


@dataclass(slots=True)
class Found:
    """What stands in a feed's topics."""

    changes: list[tuple[Facts, int]] = field(default_factory=list)
    """Facts and revision of each change, in the order of its partition."""
    control: list[ControlEvent] = field(default_factory=list)
    dead: int = 0

    def of(self, kind: ControlKind) -> list[ControlEvent]:
        """Control events of one kind."""
        return [event for event in self.control if event.kind is kind]


class Writer:
    """Writes revisions 1, 2, 3 … of some orders on one thread, and keeps the ledger of what was acknowledged."""

    def __init__(self, table: RollingTable, *, orders: int = 40, pause_s: float = 0.002) -> None:
        self.ledger: dict[str, int] = defaultdict(int)
        self._client = table.aws.client("dynamodb")
        self._table, self._orders, self._pause_s = table.name, orders, pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def put(self, name: str) -> None:
        """One acknowledged write."""
        while True:
            try:
                self._client.put_item(TableName=self._table, Item=order(name, self.ledger[name] + 1))
            except ClientError:
                time.sleep(0.01)  # an edit of the file: the put was not applied
                continue
            self.ledger[name] += 1
            return

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            self.put(f"o-{number % self._orders}")
            number += 1
            self._stop.wait(self._pause_s)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Bench:
    """One feed."""

    def __init__(
        self,
        feed: str,
        bootstrap: str,
        table: RollingTable | Table,
        endpoint: str,
        site: Site,
        tmp: Path,
        *,
        copies: int = 1,
    ) -> None:
        self.feed, self.table, self.site, self.tmp = feed, table, site, tmp
        self.endpoint, self.bootstrap = endpoint, bootstrap
        self.kafka = KafkaClients(KafkaSettings(bootstrap_servers=bootstrap), client_id="bench")
        topics = {feed: PARTITIONS, f"{feed}.control": 1, f"{feed}.dead-letter": 1, f"{feed}.snapshot": 1}
        create_topics(bootstrap, topics, replication_factor=copies)
        compact = {"cleanup.policy": "compact"}
        create_topics(bootstrap, {f"{feed}.positions": SLOTS}, settings=compact, replication_factor=copies)
        self._workers: list[Program] = []

    def worker(self, name: str, *, hit: dict[str, Any] | None = None, **settings: Any) -> Program:
        """A worker process, started; it is ended with the bench. ``hit``: where it shall die or freeze, see ``arm``."""
        port = free_port()
        config = {
            "feed": self.feed,
            "table": self.table.name,
            "bootstrap": self.bootstrap,
            "aws": aws_settings(self.endpoint).model_dump(mode="json") | {"secret_access_key": "local-secret"},
            "port": port,
            "settings": {"discovery_interval_ms": 2_000, "session_timeout_ms": 6_000} | settings,
            "armed": hit is not None,
        }
        if hit is not None:
            self._lay_trap(name, hit)
        file = self.tmp / f"{self.feed}-{name}.json"
        file.write_text(json.dumps(config))
        program = Program(
            f"{self.feed}-{name}",
            self.site,
            argv=[sys.executable, str(WORKER), str(file)],
            addresses={"telemetry": f"http://127.0.0.1:{port}"},
        )
        program.start()
        self._workers.append(program)
        return program

    def arm(self, name: str, worker: Program, *, point: str, blow: str) -> None:
        """Have a running worker die (SIGKILL) or freeze (SIGSTOP) when it next comes to a point; see ``witness``."""
        self._lay_trap(name, {"point": point, "blow": blow})
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGUSR1)

    def _lay_trap(self, name: str, hit: dict[str, Any]) -> None:
        self.witness(name).unlink(missing_ok=True)
        (self.tmp / f"{self.feed}-{name}.trap").write_text(json.dumps(hit))

    def witness(self, name: str) -> Path:
        """The file that a worker writes just before it is hit: the point's name."""
        return self.tmp / f"{self.feed}-{name}.struck"

    def close(self) -> None:
        """End the workers."""
        for program in self._workers:
            program.finish()

    def read(self) -> Found:
        """All that a read_committed reader can see now."""
        found = Found()
        reader = self.kafka.reader()
        parts = [TopicPartition(self.feed, p, OFFSET_BEGINNING) for p in range(PARTITIONS)]
        parts += [TopicPartition(f"{self.feed}.{name}", 0, OFFSET_BEGINNING) for name in ("control", "dead-letter")]
        reader.assign(parts)
        ended: set[tuple[str, int]] = set()
        deadline = time.monotonic() + READ_WITHIN_S
        while len(ended) < len(parts):
            assert time.monotonic() < deadline, f"of {len(parts)} partitions only {ended} could be read to their ends"
            for message in reader.consume(500, 1.0):
                if (fault := message.error()) is not None:
                    # anything else (a broker that is just back) is mended by the client, which goes on asking
                    if fault.code() == KafkaError._PARTITION_EOF:
                        ended.add((message.topic(), message.partition()))
                elif message.topic() == self.feed:
                    change = CODEC.decode(message.value())
                    image = change.after or change.before or {}
                    found.changes.append((facts_of(message.headers()), int(image["revision"])))
                elif message.topic().endswith(".control"):
                    found.control.append(decode_control(message.value()))
                else:
                    found.dead += 1
        reader.close()
        return found

    def wait(self, enough: Callable[[Found], bool], within_s: float = 60.0) -> Found:
        """What is found once it is enough, or at the end of the time."""
        deadline = time.monotonic() + within_s
        while True:
            found = self.read()
            if enough(found) or time.monotonic() > deadline:
                return found
            time.sleep(0.5)

    def judge(self, ledger: dict[str, int], within_s: float = 60.0) -> Found:
        """Waits until all that was written is there, and holds it against the promises."""
        total = sum(ledger.values())
        found = self.wait(lambda f: len(f.changes) >= total, within_s)
        revisions: dict[str, list[int]] = defaultdict(list)
        ordinals: dict[str, list[int]] = defaultdict(list)
        for facts, revision in found.changes:
            revisions[facts.subject].append(revision)
            ordinals[facts.shard].append(facts.ordinal)
        expected = {name: list(range(1, count + 1)) for name, count in ledger.items() if count}
        wrong = {name: (got, expected.get(name)) for name, got in revisions.items() if got != expected.get(name)}
        assert not wrong, f"missing, duplicated or out of order: {dict(list(wrong.items())[:3])}"
        assert revisions.keys() == expected.keys()
        for shard, numbers in ordinals.items():
            assert sorted(numbers) == list(range(len(numbers))), f"ordinals of {shard} are not dense and unique"
        self._judge_lineage(found, ordinals)
        return found

    def _judge_lineage(self, found: Found, ordinals: dict[str, list[int]]) -> None:
        starts = {event.shard: event.parent for event in found.of(ControlKind.SHARD_START)}
        ends = {event.shard: event.ordinal for event in found.of(ControlKind.SHARD_END)}
        assert len(starts) == len(found.of(ControlKind.SHARD_START)), "a shard started twice"
        assert len(ends) == len(found.of(ControlKind.SHARD_END)), "a shard ended twice"
        for shard, last in ends.items():
            assert last == len(ordinals.get(shard, [])) - 1, f"{shard} ended with {last}"
        for shard in ordinals:
            assert shard in starts, f"{shard} never started"
            parent = starts[shard]
            assert not parent or parent in ends, f"{shard} was read though its parent {parent} did not end"
        assert not found.of(ControlKind.GAP)
