"""The replay's topic over the client's own mock cluster: written, read back, gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from connectors.kafka import KafkaClients, KafkaSettings, TopicSpec
from producers.replay import ReplayTopic, ReplayWriter
from schemas.errors import FatalError
from schemas.replay import ReplayMarker
from tests.unit.replay.archived import Archived

TOPIC = "orders.replay.warehouse"
BEGIN = ReplayMarker("begin", "r-1", 1, 2, "", 7, 3)


@pytest.fixture(scope="module")
def clients() -> Iterator[KafkaClients]:
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 0})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    yield KafkaClients(KafkaSettings(bootstrap_servers=f"{broker.host}:{broker.port}"), client_id="test")
    del cluster


def take(clients: KafkaClients) -> ReplayWriter:
    return ReplayWriter.take(clients, TOPIC, commit_timeout_ms=5_000)


def test_what_was_committed_tells_where_it_stands(clients: KafkaClients) -> None:
    """From markers and last records alone: the id, the place, how many each partition has; a new writer goes on."""
    topic = ReplayTopic(clients, TOPIC)
    first = take(clients)
    first.begin()
    for number in range(4):
        first.send(number, None, None, BEGIN.headers())
    first.commit()
    state = topic.state(4)
    assert state is not None
    assert (state.replay, state.place, state.counts, state.planned) == ("r-1", "", (0, 0, 0, 0), 12)
    change = Archived("o-1", 5)
    second = take(clients)
    second.begin()
    second.send(2, b"o-1", b"v", [*change.headers(), ("ce_replayordinal", b"8")])
    second.commit()
    state = topic.state(4)
    assert state is not None
    assert state.counts == (0, 0, 9, 0)
    assert state.place.endswith(".shardId-1:5")
    assert not state.ended
    # behind the markers of transactions
    assert [end - start for end, start in zip(topic.ends(4), (1, 1, 3, 1), strict=True)] == [0, 0, 0, 0]


class Moving:
    """A cluster whose group coordinator answers that it is none, so many times."""

    def __init__(self, times: int, code: int = KafkaError.NOT_COORDINATOR) -> None:
        self.left, self.code, self.asked = times, code, 0

    def admin(self) -> Moving:
        return self

    def delete_consumer_groups(self, groups: list[str], **_: object) -> dict[str, Future[None]]:
        self.asked += 1
        answer: Future[None] = Future()
        self.left -= 1
        fault = self.code if self.left >= 0 else KafkaError.GROUP_ID_NOT_FOUND
        answer.set_exception(KafkaException(KafkaError(fault)))
        return {groups[0]: answer}


def test_a_coordinator_that_moves_is_asked_again() -> None:
    """Deleting the group of the last replay survives a coordinator that has just started; a refusal for good does not.

    Found by a benchmark whose broker was a second old.
    """
    moving = Moving(3)
    topic = ReplayTopic(moving, TOPIC, sleep=lambda _: None)  # type: ignore[arg-type]  # the one call that is made
    with pytest.raises(AttributeError, match=r"create_topics|list_topics|describe"):
        topic.create(TopicSpec(TOPIC, 1, 1, {}), read_by="group")  # it has come as far as the topic
    assert moving.asked == 4
    forbidden = Moving(9, KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(FatalError):
        ReplayTopic(forbidden, TOPIC).create(TopicSpec(TOPIC, 1, 1, {}), read_by="group")  # type: ignore[arg-type]  # as above
    assert forbidden.asked == 1
