"""The runtime's promises of replays on a real cluster: the same tests as in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connectors.kafka import TopicSpec
from producers.replay import ReplayTopic
from schemas.replay import replay_group, replay_topic
from tests.integration.consumers.test_runtime_on_kafka import KafkaRig
from tests.unit.consumers.consumer_contract import WAIT_S
from tests.unit.consumers.replay_contract import ReplayContract

pytestmark = pytest.mark.integration


class KafkaReplayRig(KafkaRig):
    """See :class:`tests.unit.consumers.replay_contract.ReplayRig`. The replay's topic is made as the command does."""

    def __init__(self, bootstrap: str, name: str) -> None:
        super().__init__(bootstrap, name)
        self.replay = replay_topic(name, "test")
        self._made = ReplayTopic(self.clients, self.replay)

    def make_replay(self) -> None:
        spec = TopicSpec(self.replay, 2, 1, {"retention.ms": "-1", "message.timestamp.type": "LogAppendTime"})
        self._made.create(spec, read_by=replay_group(self.group))

    def put_replay(
        self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], partition: int = 0
    ) -> None:
        """In a transaction, as the command does, behind one that was aborted."""
        producer = self.clients.transactional_producer(self.replay)
        producer.init_transactions(WAIT_S)
        for end in (producer.abort_transaction, producer.commit_transaction):
            producer.begin_transaction()
            producer.produce(self.replay, value, key, partition, headers=headers)
            producer.flush(WAIT_S)
            end(WAIT_S)

    def delete_replay(self) -> None:
        self._made.delete()


@pytest.fixture
def rig(kafka_broker, unique_name: Callable[[str], str]) -> KafkaReplayRig:
    return KafkaReplayRig(kafka_broker.bootstrap, unique_name("orders"))


class TestReplaysOnKafka(ReplayContract):
    """The contract, on a real cluster."""
