"""A group of consumer processes on a topic of orders, and what the cluster says of it."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client.parser import text_string_to_metric_families

from feed.local import Site
from feed.local.ports import free_port
from feed.local.program import Program
from feed.testing import create_topics, until
from tests.faults.consumers.effects import Effects
from tests.faults.consumers.orders_topic import PARTITIONS, OrdersTopic

MEMBER = Path(__file__).with_name("member.py")
ANSWER_WITHIN_S = 10.0

SETTINGS = {"session_timeout_ms": 6_000, "commit_interval_ms": 500, "in_flight": 8}


@dataclass
class GroupBench:
    """A group, its members and its effects. Several may share a topic."""

    topic: OrdersTopic
    effects: Effects
    site: Site
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = f"{self.topic.name}.{self.effects.sink}"
        create_topics(self.topic.bootstrap, {f"{self.name}.dead-letter": 1})
        self.admins = [self.topic.clients.admin()]
        self.asker = self.topic.clients.group_consumer(self.name)  # as connectors/kafka/offsets.py, but asked often
        self.members: dict[str, Program] = {}

    # -- members ------------------------------------------------------------------------------------------------

    def member(self, name: str, point: str = "", after: int = 0) -> Program:
        """Start a member, which may die at a point."""
        port = free_port()
        told = {
            "port": port,
            "sink": self.effects.sink,
            "name": name,
            "bootstrap": self.topic.bootstrap,
            "topic": self.topic.name,
            "group": self.name,
            "point": point,
            "after": after,
            "witness": str(self.witness(name)),
            "settings": SETTINGS | self.settings,
        }
        told |= self.effects.told()
        program = Program(
            f"{self.name}-{name}",
            self.site,
            argv=["/usr/bin/env", f"PYTHONPATH={Path.cwd()}", sys.executable, str(MEMBER), json.dumps(told)],
            addresses={"metrics": f"http://127.0.0.1:{port}/metrics"},
        )
        program.start()
        self.members[name] = program
        return program

    def stop(self, *names: str) -> None:
        """Stop members in order, at once; each must do so by itself."""
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(lambda name: self.members[name].stop(), names))
        for name in names:
            assert b"consumer stopped" in self.members[name].printed(), f"{name} did not stop in order"

    def struck(self, name: str, point: str) -> bool:
        """Whether the member has died of -9 at the point, as its witness says."""
        witness, process = self.witness(name), self.members[name]._process
        if process is None or process.poll() != -signal.SIGKILL or not witness.exists():
            return False
        return witness.read_text() == point

    def metrics(self, name: str) -> dict[tuple[str, tuple[str, ...]], float]:
        """What a member says of itself: (name, values of its labels) to value."""
        text = httpx.get(self.members[name].addresses["metrics"], timeout=ANSWER_WITHIN_S).text
        samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
        return {(s.name, tuple(s.labels.values())): s.value for s in samples}

    def health(self, name: str) -> str:
        """What a member's ``/healthz`` says; empty while it does not answer."""
        try:
            url = self.members[name].addresses["metrics"].removesuffix("metrics")
            return httpx.get(f"{url}healthz", timeout=ANSWER_WITHIN_S).text
        except httpx.HTTPError:
            return ""

    def takes(self, name: str) -> int:
        """From how many partitions the member has taken records in this life; 0 while it does not answer."""
        try:
            metrics = self.metrics(name)
        except httpx.HTTPError:
            return 0
        return sum(1 for (metric, _), taken in metrics.items() if metric == "feed_consumer_records_total" and taken)

    def witness(self, name: str) -> Path:
        return self.folder / f"{self.name}-{name}.point"

    def close(self) -> None:
        for program in self.members.values():
            program.resume()
            program.kill()
        self.asker.close()
        self.effects.close()

    # -- what the cluster says ----------------------------------------------------------------------------------

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
            self.admins.append(self.topic.clients.admin())
            return None

    def committed(self) -> dict[int, int]:
        found = until(self._ask_committed, "the coordinator")
        return {each.partition: each.offset for each in found}

    def _ask_committed(self) -> list[TopicPartition]:
        places = [TopicPartition(self.topic.name, number) for number in range(PARTITIONS)]
        try:
            return self.asker.committed(places, timeout=ANSWER_WITHIN_S)
        except KafkaException:
            return []  # the coordinator is loading

    def set_back(self, offset: int) -> None:
        """Reset the group, which must have no members, to an offset of partition 0."""
        self.asker.commit(offsets=[TopicPartition(self.topic.name, 0, offset)], asynchronous=False)

    def shared(self, members: int) -> None:
        """Wait until so many members have partitions, and every partition has one."""
        until(lambda: self.shares() == members, f"{members} members of {self.name} that share the partitions")

    def shares(self) -> int:
        """How many members share the partitions; 0 while some partition has none."""
        described = self.ask(lambda admin: admin.describe_consumer_groups([self.name])[self.name])
        if described is None:
            return 0
        shares = [len(member.assignment.topic_partitions) for member in described.members]
        return len([share for share in shares if share]) if sum(shares) == PARTITIONS else 0

    def advance(self) -> None:
        """Every partition gets on: nothing is left paused or without an owner. Commits are sampled on the way."""
        before = self.committed()
        until(
            lambda: all(offset > before[number] for number, offset in self.committed().items()),
            f"every partition of {self.name} to get on from {before}",
        )
        self.check_commits_are_durable()

    def drained(self) -> None:
        until(lambda: self.committed() == self.topic.ends(), f"commits of {self.name} up to {self.topic.ends()}")

    def check_commits_are_durable(self) -> None:
        """What is committed has its effect."""
        self.effects.check_committed(self.topic, self.committed())

    def dead_letters(self) -> list[Any]:
        reader = self.topic.clients.reader()
        reader.assign([TopicPartition(f"{self.name}.dead-letter", 0, 0)])
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
