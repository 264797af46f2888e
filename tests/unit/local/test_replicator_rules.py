"""What the stand-in for global tables decides: how long a write is held back, and what goes into one batch."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.local.replicator import Later, Replica, Write, replica_table
from feed.local.replicator.copying import BATCH, BATCH_TRIES, batches


def write(key: int, state: int | None) -> Write:
    image = None if state is None else {"orderId": {"S": str(key)}, "revision": {"N": str(state)}}
    return Write({"orderId": {"S": str(key)}}, image)


WRITES = st.lists(st.builds(write, st.integers(0, 60), st.none() | st.integers(0, 9)), max_size=200)


@given(WRITES)
def test_batches_end_in_the_same_state(writes: list[Write]) -> None:
    """Applied in order, batches leave what the writes would have left; each is one that DynamoDB takes."""
    one_by_one: dict[Any, Any] = {}
    for each in writes:
        one_by_one[each.identity] = each.image
    in_batches: dict[Any, Any] = {}
    for batch in batches(writes):
        assert 0 < len(batch) <= BATCH
        assert len({each.identity for each in batch}) == len(batch)
        for each in batch:
            in_batches[each.identity] = each.image
    assert in_batches == one_by_one


def test_a_write_is_held_back_for_the_delay() -> None:
    """It comes out once its delay is over, behind what came before it, and only once."""
    now_ms = [0]
    later = Later(200, lambda: now_ms[0])
    first, second = write(1, 1), write(1, 2)
    later.put([first])
    now_ms[0] = 150
    later.put([second])
    assert later.due() == []
    now_ms[0] = 200
    assert later.due() == [first]
    assert len(later) == 1
    now_ms[0] = 900
    assert later.due() == [second]
    assert later.due() == []


class Busy:
    """DynamoDB that leaves all but one item of each batch unprocessed."""

    def __init__(self, *, takes: int) -> None:
        self.takes = takes
        self.taken: list[Any] = []

    def describe_table(self, TableName: str) -> Any:  # noqa: N803 - boto3's names
        return {"Table": {"KeySchema": [{"AttributeName": "orderId", "KeyType": "HASH"}]}}

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> Any:  # noqa: N803 - as above
        ((table, requests),) = RequestItems.items()
        self.taken += requests[: self.takes]
        left = requests[self.takes :]
        return {"UnprocessedItems": {table: left} if left else {}}


def test_what_is_left_unprocessed_is_written_again() -> None:
    """A busy table takes items one by one; one that takes none is an error after a bounded number of tries."""
    slept: list[float] = []
    busy = Busy(takes=1)
    Replica(busy, replica_table("orders", "us"), sleep=slept.append).write([write(n, 1) for n in range(3)])
    assert [request["PutRequest"]["Item"]["orderId"]["S"] for request in busy.taken] == ["0", "1", "2"]
    assert len(slept) == 2
    with pytest.raises(TimeoutError, match="orders-us does not take 1 items"):
        Replica(Busy(takes=0), "orders-us", sleep=slept.append).write([write(1, None)])
    assert len(slept) == 2 + BATCH_TRIES
