"""A topic that orders flow into, a group of warehouse processes, and what is true of the picks."""

from __future__ import annotations

import itertools
import json
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.aws import AwsClients
from connectors.dynamodb import EffectTable, create_effect_table
from connectors.kafka import KafkaClients, KafkaSettings
from consumers.warehouse import KEY
from feed.local import Site
from feed.local.program import Program
from feed.testing import aws_settings, create_topics, unique_name
from schemas.bundled import load
from schemas.change import Change
from schemas.codec import ChangeCodec
from schemas.headers import headers_of
from tests.unit.consumers.consumer_contract import until
from tests.unit.order_changes import life

MEMBER = Path(__file__).with_name("member.py")
PARTITIONS = 4
WITHIN_S = 90.0
ANSWER_WITHIN_S = 10.0
STATUSES = ("created", "paid", "packed", "shipped", "delivered")
CODEC = ChangeCodec.for_image(load("order"))


@dataclass
class GroupBench:
    """Everything around the members."""

    bootstrap: str
    endpoint: str
    site: Site
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.topic = unique_name("orders")
        self.group = f"{self.topic}.warehouse"
        self.clients = KafkaClients(KafkaSettings(bootstrap_servers=self.bootstrap), client_id="bench")
        create_topics(self.bootstrap, {self.topic: PARTITIONS, f"{self.group}.dead-letter": 1})
        self.admins = [self.clients.admin()]
        self.producer = self.clients.producer()
        dynamodb = AwsClients(aws_settings(self.endpoint)).client("dynamodb")
        self.table = EffectTable(dynamodb, unique_name("picks"))
        create_effect_table(dynamodb, self.table.name, KEY)
        self.written: dict[str, list[Change]] = defaultdict(list)
        self.at: dict[tuple[int, int], Change] = {}
        self.members: dict[str, Program] = {}
        self._stop = threading.Event()
        self._feeder: threading.Thread | None = None

    # -- orders -------------------------------------------------------------------------------------------------

    def feed(self, rate_per_s: float) -> None:
        """Write orders' lives, interleaved, until told to stop."""
        self._feeder = threading.Thread(target=self._feed, args=(rate_per_s,), daemon=True)
        self._feeder.start()

    def end_feed(self) -> None:
        self._stop.set()
        if self._feeder is not None:
            self._feeder.join(30)
        assert self.producer.flush(30) == 0

    def put(self, change: Change) -> None:
        key = change.key["orderId"]["S"]
        self.written[key].append(change)

        def written(error: Any, message: Any) -> None:
            assert error is None
            self.at[message.partition(), message.offset()] = change

        self.producer.produce(self.topic, CODEC.encode(change), key, headers=headers_of(change), on_delivery=written)
        self.producer.poll(0)

    def _feed(self, rate_per_s: float) -> None:
        lives: list[Iterator[Change]] = []
        serials = itertools.count()
        for number in itertools.count():
            if self._stop.wait(1 / rate_per_s):
                return
            if len(lives) < 30:
                serial = next(serials)
                lives.append(iter(life(*STATUSES, order_id=f"o-{serial}", base=1_000 * serial)))
            current = lives[number * 7 % len(lives)]
            change = next(current, None)
            if change is None:
                lives.remove(current)
            else:
                self.put(change)

    # -- members ------------------------------------------------------------------------------------------------

    def member(self, name: str, point: str = "", after: int = 0) -> Program:
        """Start a member, which may die at a point."""
        told = {
            "name": name,
            "bootstrap": self.bootstrap,
            "topic": self.topic,
            "group": self.group,
            "endpoint": self.endpoint,
            "table": self.table.name,
            "point": point,
            "after": after,
            "witness": str(self.witness(name)),
            "settings": {"session_timeout_ms": 6_000, "commit_interval_ms": 500, "in_flight": 8} | self.settings,
        }
        program = Program(
            f"{self.topic}-{name}",
            self.site,
            argv=["/usr/bin/env", f"PYTHONPATH={Path.cwd()}", sys.executable, str(MEMBER), json.dumps(told)],
        )
        program.start()
        self.members[name] = program
        return program

    def witness(self, name: str) -> Path:
        return self.folder / f"{self.topic}-{name}.point"

    def close(self) -> None:
        self._stop.set()
        for program in self.members.values():
            program.resume()
            program.kill()

    # -- what is true -------------------------------------------------------------------------------------------

    def ask(self, question: Callable[[AdminClient], Any]) -> Any:
        """The answer of the cluster, ``None`` while there is none.

        While a broker comes back, the cluster's metadata is empty for a moment. librdkafka then gives that broker up,
        and an admin client may go on asking the one it gave up for as long as it remembers the coordinator: hence a new
        client after a question that nobody answered.
        """
        try:
            return question(self.admins[-1]).result(ANSWER_WITHIN_S)
        except KafkaException:
            return None  # the coordinator is loading, or there is no group yet
        except TimeoutError:
            self.admins.append(self.clients.admin())
            return None

    def committed(self) -> dict[int, int]:
        asked = ConsumerGroupTopicPartitions(
            self.group, [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
        )
        found = until(
            lambda: self.ask(lambda admin: admin.list_consumer_group_offsets([asked])[self.group]),
            "the coordinator",
            WITHIN_S,
        )
        return {partition.partition: partition.offset for partition in found.topic_partitions}

    def shared(self, members: int) -> None:
        """Wait until so many members have partitions, and every partition has one."""
        until(lambda: self.shares() == members, f"{members} members that share the partitions", WITHIN_S)

    def shares(self) -> int:
        """How many members share the partitions; 0 while some partition has none."""
        described = self.ask(lambda admin: admin.describe_consumer_groups([self.group])[self.group])
        if described is None:
            return 0
        shares = [len(member.assignment.topic_partitions) for member in described.members]
        return len([share for share in shares if share]) if sum(shares) == PARTITIONS else 0

    def ends(self) -> dict[int, int]:
        counts = dict.fromkeys(range(PARTITIONS), 0)
        for partition, offset in list(self.at):
            counts[partition] = max(counts[partition], offset + 1)
        return counts

    def advance(self) -> None:
        """Every partition gets on: nothing is left paused or without an owner. Commits are sampled on the way."""
        before = self.committed()
        until(
            lambda: all(offset > before[number] for number, offset in self.committed().items()),
            f"every partition to get on from {before}",
            WITHIN_S,
        )
        self.check_commits_are_durable()

    def drained(self) -> None:
        until(lambda: self.committed() == self.ends(), f"commits up to {self.ends()}", WITHIN_S)

    def pick(self, order_id: str) -> dict[str, Any]:
        item = self.table.get({KEY: {"S": order_id}}, consistent=True)
        assert item is not None, f"{order_id} has no pick"
        return {name: next(iter(value.values())) for name, value in item.items()}

    def check_commits_are_durable(self) -> None:
        """A sample of what is committed: its effect, or a later one, stands in its pick."""
        committed = self.committed()
        known = [place for place in list(self.at) if place[1] < committed[place[0]]]
        for place in random.sample(known, min(20, len(known))):
            change = self.at[place]
            assert self.pick(change.key["orderId"]["S"])["version"] >= change.version.to_text(), place

    def check_picks(self) -> None:
        """Each order's every change was acted on, in order, once, and its pick was started by its first."""
        for order_id, changes in self.written.items():
            pick = self.pick(order_id)
            seen = [entry["S"] for entry in pick["seen"]]
            expected = [f"{n}:{c.after['status']}" for n, c in enumerate(changes, 1) if c.after is not None]
            assert seen == expected, order_id
            assert int(pick["changes"]) == len(changes)
            assert pick["startedBy"] == changes[0].source.event_id

    def dead_letters(self) -> list[Any]:
        reader = self.clients.reader()
        reader.assign([TopicPartition(f"{self.group}.dead-letter", 0, 0)])
        found: list[Any] = []
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            message = reader.poll(1)
            if message is not None and message.error() is not None:
                break
            if message is not None:
                found.append(message)
        reader.close()
        return found
