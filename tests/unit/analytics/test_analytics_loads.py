"""The analytics sink against the local Data API's engine and a bucket in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.columns import StoredRecord
from consumers.runtime.contracts import PositionWriter
from feed.local.data_api import Refused
from schemas import bundled
from schemas.change import Op
from schemas.errors import FatalError, PoisonError, RetryableError
from tests.unit.analytics.loading import START_MS, Process, change, current, history, ledger, record
from tests.unit.memory_store import Killed, MemoryStore
from tests.unit.memory_warehouse import DataApiClient, MemoryWarehouse


@pytest.fixture
def warehouse() -> Iterator[MemoryWarehouse]:
    """An empty warehouse."""
    warehouse = MemoryWarehouse(MemoryStore())
    yield warehouse
    warehouse.engine.close()


def test_a_load_makes_current_state_and_history(warehouse: MemoryWarehouse) -> None:
    """The newest version of each order is its current state, every change is in the history, with typed columns."""
    process = Process(warehouse)
    start, writer = process.open()
    assert start == 0
    writer.add([
        record(0, change(0, "o-1", sequence=10, op=Op.CREATE, status="created")),
        record(1, change(1, "o-2", sequence=11, op=Op.CREATE, status="created")),
        record(3, change(2, "o-1", sequence=12, status="paid")),
        record(4, change(3, "o-2", sequence=13, op=Op.DELETE)),
    ])  # fmt: skip
    assert writer.durable() == 0
    writer.tick(START_MS + 4_999)
    assert writer.durable() == 0
    writer.tick(START_MS + 5_000)
    assert writer.durable() == 5
    assert current(warehouse) == {"o-1": "paid"}
    assert len(history(warehouse)) == 4
    (row,) = warehouse.rows("SELECT total, updated_at, lines FROM public.orders")
    assert row["total"] == "12.50"
    assert row["updated_at"] == "2025-11-24 16:00:00.002000"
    assert row["lines"] == '[{"sku":"a","quantity":2,"price":"6.25","extra":{}}]'


def test_all_partitions_share_one_transaction(warehouse: MemoryWarehouse) -> None:
    """Eight partitions that are due make one batch, whichever is ticked first."""
    process = Process(warehouse)
    writers = [process.open(number)[1] for number in range(8)]
    before = process.client.batches
    for number, writer in enumerate(writers):
        writer.add([record(0, change(number, f"o-{number}", sequence=number + 1), number)])
    writers[0].tick(START_MS + 5_000)
    assert [writer.durable() for writer in writers] == [1] * 8
    assert process.client.batches == before + 1
    assert len(current(warehouse)) == 8


def test_an_assignment_starts_at_the_ledger(warehouse: MemoryWarehouse) -> None:
    """Kafka's commit may lag or be gone: the ledger decides where reading goes on."""
    _, writer = Process(warehouse).open()
    writer.add([record(offset, change(offset, "o-1", sequence=offset + 1)) for offset in range(3)])
    writer.flush()
    start, again = Process(warehouse).open(committed=0)
    assert start == 3
    again.add([record(offset, change(offset, "o-1", sequence=offset + 1)) for offset in range(5)])
    again.flush()
    assert len(history(warehouse)) == 5


def test_old_versions_and_first_load_rows_change_nothing(warehouse: MemoryWarehouse) -> None:
    """A replayed change and a row of a first load do not go back in time; a deleted order does not return."""
    _, writer = Process(warehouse).open()
    writer.add([
        record(0, change(0, "o-1", sequence=10, status="shipped")),
        record(1, change(1, "o-2", sequence=11, op=Op.DELETE)),
    ])  # fmt: skip
    writer.flush()
    writer.add([
        record(2, change(2, "o-1", sequence=9, status="paid")),
        record(3, change(3, "o-2", sequence=8, status="paid")),
        record(4, change(4, "o-1", sequence=0, op=Op.READ, status="created")),
        record(5, change(5, "o-3", sequence=0, op=Op.READ, status="created")),
        record(6, change(0, "o-1", sequence=10, status="shipped")),
    ])  # fmt: skip
    writer.flush()
    assert current(warehouse) == {"o-1": "shipped", "o-3": "created"}
    assert len(history(warehouse)) == 6


def test_a_newer_epoch_overrules(warehouse: MemoryWarehouse) -> None:
    """A reload under a higher epoch replaces what an older epoch knew, however large its sequence numbers were."""
    _, writer = Process(warehouse).open()
    writer.add([record(0, change(0, "o-1", sequence=10**30, status="shipped"))])
    writer.flush()
    writer.add([record(1, change(1, "o-1", epoch=2, op=Op.READ, status="delivered"))])
    writer.flush()
    assert current(warehouse) == {"o-1": "delivered"}


def test_a_poison_record_takes_nothing_with_it(warehouse: MemoryWarehouse) -> None:
    """A value that is no change is refused before anything of its batch is taken."""
    _, writer = Process(warehouse).open()
    good = record(0, change(0, "o-1", sequence=1))
    bad = StoredRecord("orders", 0, 1, b"k", b"\xc3\x01nonsense", [], 1, START_MS)
    with pytest.raises((PoisonError, FatalError)):
        writer.add([good, bad])
    writer.add([good])
    writer.add([record(2, change(1, "o-1", sequence=2))])
    writer.flush()
    assert len(history(warehouse)) == 2


def test_a_row_more_between_the_same_offsets_is_staged_anew(warehouse: MemoryWarehouse) -> None:
    """A record was refused, its batch staged and never loaded; after an upgrade it has a row: that file is another."""
    first = Process(warehouse)
    _, writer = first.open()
    rows = [record(n, change(n, f"o-{n}", sequence=n + 1)) for n in range(3)]
    writer.add([rows[0], rows[2]])
    first.client.submitting = _away
    writer.tick(START_MS + 5_000)
    second = Process(warehouse)
    _, writer = second.open()
    writer.add(rows)
    writer.flush()
    assert len(history(warehouse)) == 3


def _away(when: str) -> None:
    raise ClientError({"Error": {"Code": "ThrottlingException", "Message": when}}, "BatchExecuteStatement")


def test_an_empty_value_is_passed_over(warehouse: MemoryWarehouse) -> None:
    """A tombstone carries no change: it makes no row and does not hold the commit back."""
    _, writer = Process(warehouse).open()
    empty = StoredRecord("orders", 0, 0, b"k", None, [], 1, START_MS)
    writer.add([empty])
    assert writer.durable() == 1
    writer.add([record(1, change(0, "o-1", sequence=1)), StoredRecord("orders", 0, 2, b"k", None, [], 1, START_MS)])
    assert writer.durable() == 0
    writer.flush()
    assert writer.durable() == 3
    assert len(history(warehouse)) == 1


def test_the_ledger_follows_what_holds_no_record(warehouse: MemoryWarehouse) -> None:
    """Markers behind the last record move the ledger: with the load, or while idle with a small one of their own."""
    process = Process(warehouse)
    _, writer = process.open()
    assert isinstance(writer, PositionWriter)
    writer.add([record(0, change(0, "o-1", sequence=1))])
    writer.reached(2)
    writer.tick(START_MS + 5_000)
    assert ledger(warehouse) == {("topic-1", 0): 2}
    process.now_ms = START_MS + 6_000
    writer.reached(7)
    assert writer.durable() == 7
    batches = process.client.batches
    writer.tick(START_MS + 10_999)
    assert process.client.batches == batches
    writer.tick(START_MS + 11_000)
    assert (process.client.batches, ledger(warehouse)) == (batches + 1, {("topic-1", 0): 7})
    for second in range(12, 60):
        writer.tick(START_MS + second * 1_000)
    assert process.client.batches == batches + 1
    assert len(history(warehouse)) == 1


def test_a_stop_takes_the_ledger_along(warehouse: MemoryWarehouse) -> None:
    """A graceful stop of an idle partition leaves no ledger behind its markers."""
    _, writer = Process(warehouse).open()
    assert isinstance(writer, PositionWriter)
    writer.add([record(0, change(0, "o-1", sequence=1))])
    writer.flush()
    writer.reached(2)
    writer.flush()
    assert ledger(warehouse) == {("topic-1", 0): 2}
    start, _ = Process(warehouse).open(committed=2)
    assert start == 2


def test_text_that_does_not_fit_is_named(warehouse: MemoryWarehouse) -> None:
    """A text beyond the column's width is null there, and the row says so."""
    _, writer = Process(warehouse).open()
    writer.add([record(0, change(0, "o-1", sequence=1, customerId={"S": "ü" * 3_000}))])
    writer.flush()
    (row,) = warehouse.rows("SELECT customer_id, feed_too_long FROM public.orders_history")
    assert row == {"customer_id": None, "feed_too_long": "customer_id"}


def test_a_newer_schema_adds_columns(warehouse: MemoryWarehouse) -> None:
    """A field that the image schema gained is a new column of every table; old rows stay."""
    old = bundled.load("order")
    old["fields"] = [field for field in old["fields"] if field["name"] != "currency"]
    _, writer = Process(warehouse, image=old).open()
    writer.add([record(0, change(0, "o-1", sequence=1))])
    writer.flush()
    _, writer = Process(warehouse).open()
    writer.add([record(1, change(1, "o-2", sequence=2))])
    writer.flush()
    rows = warehouse.rows("SELECT order_id, currency FROM public.orders ORDER BY order_id")
    assert rows == [{"order_id": "o-1", "currency": None}, {"order_id": "o-2", "currency": "EUR"}]


def test_a_statement_that_failed_but_committed_is_not_loaded_again(warehouse: MemoryWarehouse) -> None:
    """A bad answer is no proof: the ledger says that the load has committed."""
    process = Process(warehouse)
    _, writer = process.open()
    lies = [1]

    def lie(answer: dict[str, Any]) -> dict[str, Any]:
        if lies.pop() if lies else 0:
            return answer | {"Status": "FAILED", "Error": "connection reset"}
        return answer

    writer.add([record(0, change(0, "o-1", sequence=1))])
    process.client.describing = lie
    before = process.client.batches
    writer.flush()
    assert writer.durable() == 1
    assert process.client.batches == before + 1


def test_a_failed_load_is_tried_again(warehouse: MemoryWarehouse) -> None:
    """A load that the warehouse refuses leaves nothing behind and is tried again."""
    process = Process(warehouse)
    _, writer = process.open()
    failures = [3]

    def fail(statement: Any, position: int) -> None:
        if statement.batch and position == len(statement.subs) and failures[0]:
            failures[0] -= 1
            raise Refused("ERROR: 1023 Serializable isolation violation")

    writer.add([record(0, change(0, "o-1", sequence=1))])
    warehouse.engine.before = fail
    for second in range(5, 12):
        writer.tick(START_MS + second * 1000)
    assert writer.durable() == 1
    assert len(history(warehouse)) == 1


def test_a_load_that_is_always_refused_stops_the_consumer(warehouse: MemoryWarehouse) -> None:
    """The consumer ends with the warehouse's own words instead of trying for ever."""
    process = Process(warehouse, max_refusals=3)
    _, writer = process.open()

    def fail(statement: Any, position: int) -> None:
        if statement.batch:
            raise Refused("ERROR: disk full")

    writer.add([record(0, change(0, "o-1", sequence=1))])
    warehouse.engine.before = fail
    writer.tick(START_MS + 5_000)
    writer.tick(START_MS + 6_000)
    with pytest.raises(FatalError, match="disk full"):
        writer.tick(START_MS + 7_000)
    assert writer.durable() == 0


def test_a_service_that_is_away_is_waited_for(warehouse: MemoryWarehouse) -> None:
    """A Data API that does not answer never ends the consumer, and a full memory refuses records untaken."""
    process = Process(warehouse, max_refusals=2, memory_bytes=1024 * 1024)
    _, writer = process.open()

    def away(when: str) -> None:
        error = {"Error": {"Code": "ServiceUnavailable"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
        raise ClientError(error, "BatchExecuteStatement")  # type: ignore[arg-type]  # all that is read of it

    process.client.submitting = away
    writer.add([record(offset, change(offset, "o-1", sequence=offset + 1)) for offset in range(600)])
    for second in range(5, 30):
        writer.tick(START_MS + second * 1000)
    more = [record(offset, change(offset, "o-1", sequence=offset + 1)) for offset in range(600, 9000)]
    writer.add(more)
    with pytest.raises(RetryableError):
        writer.add([record(9000, change(9000, "o-1", sequence=9001))])
    process.client.submitting = lambda when: None
    writer.add([record(9000, change(9000, "o-1", sequence=9001))])
    writer.flush()
    assert len(history(warehouse)) == 9001


def test_a_former_owners_load_that_commits_late_is_followed(warehouse: MemoryWarehouse) -> None:
    """When another loader has moved the ledger, what it loaded is skipped and the rest is loaded."""
    old, new = Process(warehouse), Process(warehouse)
    _, old_writer = old.open()
    _, new_writer = new.open()
    flow = [record(offset, change(offset, f"o-{offset % 3}", sequence=offset + 1)) for offset in range(10)]
    old_writer.add(flow[:4])
    new_writer.add(flow[:7])
    old_writer.flush()
    new_writer.flush()
    new_writer.add(flow[7:])
    new_writer.flush()
    assert new_writer.durable() == 10
    assert history(warehouse) == [f"shardId-1:{number}" for number in range(10)]


def test_a_ledger_that_went_back_is_fatal(warehouse: MemoryWarehouse) -> None:
    """A warehouse restored to an older state is noticed, not silently loaded with a hole."""
    process = Process(warehouse)
    _, writer = process.open()
    writer.add([record(0, change(0, "o-1", sequence=1)), record(1, change(1, "o-1", sequence=2))])
    writer.flush()
    redshift, _ = warehouse.connect()
    redshift.run(["UPDATE public.load_ledger SET next_offset = 1"])
    writer.add([record(2, change(2, "o-1", sequence=3))])
    with pytest.raises(FatalError, match="went back"):
        writer.flush()


LIFE = st.tuples(
    st.integers(0, 25),  # the point at which it dies
    st.lists(st.tuples(st.sampled_from(["add", "tick", "flush"]), st.integers(1, 4)), max_size=8),
)


@settings(max_examples=40, deadline=None)
@given(
    orders=st.lists(st.integers(0, 3), min_size=1, max_size=16),
    deletes=st.sets(st.integers(0, 15)),
    lives=st.lists(LIFE, max_size=4),
)
def test_whatever_crashes_each_change_is_loaded_once(
    orders: list[int], deletes: set[int], lives: list[tuple[int, list[tuple[str, int]]]]
) -> None:
    """A kill at any point of a load (each upload, each submission, before or after): tables equal the model."""
    warehouse = MemoryWarehouse(MemoryStore())
    try:
        flow = flow_of(orders, deletes)
        for dies_at, moves in [*lives, (10**9, [("add", 99), ("flush", 0)])]:
            live(warehouse, flow, dies_at, moves)
        assert history(warehouse) == [f"shardId-1:{number}" for number in range(len(orders))]
        assert current(warehouse) == {
            f"o-{order}": "paid"
            for number, order in enumerate(orders)
            if max(n for n, o in enumerate(orders) if o == order) == number and number not in deletes
        }
    finally:
        warehouse.engine.close()


def flow_of(orders: list[int], deletes: set[int]) -> list[tuple[int, StoredRecord]]:
    """Changes over two partitions by order, offsets with holes; partition and record."""
    offsets = [0, 0]
    flow: list[tuple[int, StoredRecord]] = []
    for number, order in enumerate(orders):
        home = order % 2
        op = Op.DELETE if number in deletes else Op.UPDATE
        flow.append((home, record(offsets[home], change(number, f"o-{order}", sequence=number + 1, op=op), home)))
        offsets[home] += 1 + number % 2
    return flow


def live(
    warehouse: MemoryWarehouse, flow: list[tuple[int, StoredRecord]], dies_at: int, moves: list[tuple[str, int]]
) -> None:
    """One process that dies at its ``dies_at``-th crossing of the border to S3 or the warehouse."""
    process = Process(warehouse)
    left = dies_at

    def cross(_what: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    def cross_back(answer: dict[str, Any]) -> dict[str, Any]:
        cross(answer)
        return answer

    warehouse.store.before = warehouse.store.after = cross
    process.client.submitting, process.client.describing = cross, cross_back
    try:
        starts, writers = zip(*(process.open(number) for number in (0, 1)), strict=True)
        unread = [(home, r) for home, r in flow if r.offset() >= starts[home]]
        for move, amount in moves:
            for number in (0, 1):
                if move == "add":
                    writers[number].add([r for home, r in unread[:amount] if home == number])
                elif move == "tick":
                    process.now_ms += amount * 2_500
                    writers[number].tick(process.now_ms)
                else:
                    writers[number].flush()
            if move == "add":
                del unread[:amount]
    except Killed:
        return
    finally:
        warehouse.store.before = warehouse.store.after = lambda key: None


def test_the_client_double_is_what_the_connector_needs(warehouse: MemoryWarehouse) -> None:
    """The double answers as boto3 does for a statement that is unknown."""
    redshift, client = warehouse.connect()
    assert isinstance(client, DataApiClient)
    assert redshift.status("00000000-0000-0000-0000-000000000000").state == "unknown"
