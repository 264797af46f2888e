"""Whatever the Data API answers, or does not answer: a load happens once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from consumers.runtime.contracts import Partition
from schemas.change import Op
from tests.unit.analytics.loading import START_MS, Process, change, current, history, ledger, record
from tests.unit.memory_store import MemoryStore
from tests.unit.memory_warehouse import MemoryWarehouse


@pytest.fixture
def warehouse() -> Iterator[MemoryWarehouse]:
    """An empty warehouse."""
    warehouse = MemoryWarehouse(MemoryStore())
    yield warehouse
    warehouse.engine.close()


def loads_of(warehouse: MemoryWarehouse) -> int:
    """Batches that the warehouse took for loads."""
    return sum(len(statement.subs) > 10 for statement in warehouse.engine.statements())


def test_a_lost_answer_is_asked_for_again(warehouse: MemoryWarehouse) -> None:
    """200 after the time-out: the same token gives the statement that runs already, and nothing runs twice."""
    process = Process(warehouse)
    _, writer = process.open()
    writer.add([record(0, change(0, "o-1", sequence=1))])
    lost = ["after"]

    def lose(when: str) -> None:
        if when in lost:
            lost.remove(when)
            raise ReadTimeoutError(endpoint_url="http://data-api")

    process.client.submitting = lose
    writer.flush()
    assert (writer.durable(), loads_of(warehouse)) == (1, 1)


def test_a_lost_answer_whose_token_is_forgotten_is_settled_by_the_ledger(warehouse: MemoryWarehouse) -> None:
    """The same, but the service has forgotten the token: the ledger refuses the second run, and that is it."""
    process = Process(warehouse)
    _, writer = process.open()
    writer.add([record(0, change(0, "o-1", sequence=1))])
    lost = ["after"]

    def lose(when: str) -> None:
        if when in lost:
            lost.remove(when)
            for statement in warehouse.engine.statements():
                statement.done.wait(10)
            warehouse.engine._tokens.clear()
            raise ReadTimeoutError(endpoint_url="http://data-api")

    process.client.submitting = lose
    writer.flush()
    assert (writer.durable(), loads_of(warehouse), len(history(warehouse))) == (1, 2, 1)


def test_a_forgotten_statement_is_settled_by_the_ledger(warehouse: MemoryWarehouse) -> None:
    """The service does not know the statement any more, though it has committed: nothing is loaded again."""
    process = Process(warehouse)
    _, writer = process.open()
    writer.add([record(0, change(0, "o-1", sequence=1))])
    forgotten = [1]

    def forget(answer: dict[str, Any]) -> dict[str, Any]:
        if forgotten and len(answer.get("SubStatements", ())) > 10:
            forgotten.pop()
            error: Any = {"Error": {"Code": "ResourceNotFoundException", "Message": "Query does not exist."}}
            raise ClientError(error, "DescribeStatement")
        return answer

    process.client.describing = forget
    writer.flush()
    assert (writer.durable(), loads_of(warehouse), len(history(warehouse))) == (1, 1, 1)


@pytest.mark.parametrize(
    "words",
    [
        "cluster is paused",
        "ERROR: 1023 DETAIL: Serializable isolation violation on table - 1, transactions forming the cycle are: 1, 2",
        "ERROR: deadlock detected",
        "ERROR: could not serialize access to relation load_ledger due to concurrent transaction",
    ],
)
def test_an_interrupted_load_is_no_refusal(warehouse: MemoryWarehouse, words: str) -> None:
    """A cluster that is paused, or another transaction in the way, however often, never stops the consumer."""
    process = Process(warehouse, max_refusals=2)
    _, writer = process.open()
    writer.add([record(0, change(0, "o-1", sequence=1))])
    left = [6]

    def interrupt(answer: dict[str, Any]) -> dict[str, Any]:
        if left[0] and len(answer.get("SubStatements", ())) > 10:
            left[0] -= 1
            return answer | ({"Status": "ABORTED"} if left[0] % 2 else {"Status": "FAILED", "Error": words})
        return answer

    warehouse.engine.before = fail_while(left)
    process.client.describing = interrupt
    for second in range(5, 30):
        writer.tick(START_MS + second * 1_000)
    assert (writer.durable(), len(history(warehouse))) == (1, 1)


def fail_while(left: list[int]) -> Any:
    """The warehouse rolls back while there are interruptions left."""
    from feed.local.data_api import Refused  # noqa: PLC0415 - used here only

    def before(statement: Any, position: int) -> None:
        if len(statement.subs) > 10 and position == 8 and left[0]:
            raise Refused("ERROR: terminating connection due to administrator command")

    return before


def test_a_load_that_takes_too_long_is_cancelled(warehouse: MemoryWarehouse) -> None:
    """Past the bound the statement is ended, the ledger read, and the load tried again: once in the tables."""
    process = Process(warehouse)
    _, writer = process.open()
    writer.add([record(0, change(0, "o-1", sequence=1))])
    stuck: list[str] = []

    def hang(answer: dict[str, Any]) -> dict[str, Any]:
        if len(answer.get("SubStatements", ())) > 10 and answer["Id"] in (stuck or [answer["Id"]]):
            stuck[:] = [answer["Id"]]
            return answer | {"Status": "STARTED"}
        return answer

    process.client.describing = hang
    writer.tick(START_MS + 5_000)
    assert writer.durable() == 0
    writer.tick(START_MS + 5_000 + 599_999)
    assert writer.durable() == 0
    writer.tick(START_MS + 5_000 + 600_000)
    writer.tick(START_MS + 5_000 + 600_001)
    assert (writer.durable(), len(history(warehouse))) == (1, 1)


def test_two_topics_feed_one_table(warehouse: MemoryWarehouse) -> None:
    """A replay topic has ledger rows of its own; an event of both is in the history once, the newest version counts."""
    process = Process(warehouse)
    _, live = process.open()
    replay = Partition("cluster-ap", "topic-2", "orders.replay.analytics", 0)
    start, replayed = process.sink.open(replay, 40)
    assert start == 40
    old = [change(n, "o-1", sequence=n + 1, status="paid") for n in range(4)]
    live.add([record(7, old[3]), record(8, change(9, "o-2", sequence=50, op=Op.DELETE))])
    live.flush()
    replayed.add([
        record(40, old[2]), record(41, old[1]), record(42, old[3]), record(43, change(5, "o-2", sequence=20)),
    ])  # fmt: skip
    replayed.flush()
    assert ledger(warehouse) == {("topic-1", 0): 9, ("topic-2", 0): 44}
    assert history(warehouse) == ["shardId-1:1", "shardId-1:2", "shardId-1:3", "shardId-1:5", "shardId-1:9"]
    assert current(warehouse) == {"o-1": "paid"}
    (row,) = warehouse.rows("SELECT revision FROM public.orders")
    assert row["revision"] == 4
    again, _ = Process(warehouse).sink.open(replay, 40)
    assert again == 44


def test_both_topics_in_one_load(warehouse: MemoryWarehouse) -> None:
    """The same event from both topics in one transaction is one row of the history."""
    process = Process(warehouse)
    _, live = process.open()
    _, replayed = process.sink.open(Partition("cluster-ap", "topic-2", "orders.replay.analytics", 0), 0)
    same = change(0, "o-1", sequence=1)
    live.add([record(5, same)])
    replayed.add([record(0, same)])
    live.flush()
    assert (history(warehouse), current(warehouse)) == (["shardId-1:0"], {"o-1": "paid"})
    assert ledger(warehouse) == {("topic-1", 0): 6, ("topic-2", 0): 1}
