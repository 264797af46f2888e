"""The image schema changes: columns come with defaults, types widen, the view follows; loads go on meanwhile."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.redshift import StatementError
from consumers.analytics.columns import image_columns
from consumers.analytics.evolution import columns_query, evolve, found_of
from consumers.analytics.tables import Tables
from consumers.columns import StoredRecord
from schemas import bundled
from schemas.change import Change, Op
from schemas.codec import ChangeCodec
from schemas.errors import ConfigError
from tests.unit.analytics.loading import Process, change, history, record
from tests.unit.memory_store import MemoryStore
from tests.unit.memory_warehouse import MemoryWarehouse

ADDED: list[dict[str, Any]] = [
    {"name": "channel", "type": "string", "default": "web"},
    {"name": "giftWrap", "type": "boolean", "default": False},
    {"name": "weight", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3}],
     "default": None},
    {"name": "pickedAt", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": None},
    {"name": "tags", "type": {"type": "array", "items": "string"}, "default": ["none"]},
]  # fmt: skip


@pytest.fixture
def warehouse() -> Iterator[MemoryWarehouse]:
    """An empty warehouse."""
    warehouse = MemoryWarehouse(MemoryStore())
    yield warehouse
    warehouse.engine.close()


def order(*, without: tuple[str, ...] = (), more: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The bundled image schema, changed."""
    avsc = copy.deepcopy(bundled.load("order"))
    avsc["fields"] = [field for field in avsc["fields"] if field["name"] not in without] + (more or [])
    return dict(avsc)


def newer(codec: ChangeCodec, offset: int, what: Change, **fields: Any) -> StoredRecord:
    """A record that a producer with the newer schema wrote."""
    after = None if what.after is None else {**what.after, "channel": "app", "giftWrap": True, "weight": None,
                                             "pickedAt": None, "tags": [], **fields}  # fmt: skip
    whole = Change(what.op, what.key, None, after, what.source, what.version, what.occurred_at_ms, what.captured_at_ms)
    return StoredRecord("orders", 0, offset, b"k", codec.encode(whole), [], 1, what.occurred_at_ms)


def test_the_bundled_schema_evolves_under_load(warehouse: MemoryWarehouse) -> None:
    """New fields are new typed columns; old rows have the defaults, deleted ones none; the old loader goes on."""
    old = Process(warehouse)
    _, before = old.open()
    before.add([
        record(0, change(0, "o-1", sequence=1)),
        record(1, change(1, "o-2", sequence=2)),
        record(2, change(2, "o-2", sequence=3, op=Op.DELETE)),
    ])  # fmt: skip
    before.flush()
    before.add([record(3, change(3, "o-3", sequence=4))])
    image = order(more=ADDED)
    codec = ChangeCodec.for_image(image)
    process = Process(warehouse, image=image, decode=codec.decode)
    start, after = process.open()
    assert start == 3
    before.flush()  # the tables have more columns than this loader knows
    after.add(
        [newer(codec, 3, change(3, "o-3", sequence=4)), newer(codec, 4, change(4, "o-1", sequence=5), tags=["a"])]
    )
    after.flush()
    rows = warehouse.rows(
        "SELECT feed_ordinal, channel, gift_wrap, weight, picked_at, tags FROM public.orders_history "
        "ORDER BY feed_ordinal"
    )
    assert [tuple(row.values()) for row in rows] == [
        (0, "web", False, None, None, '["none"]'),
        (1, "web", False, None, None, '["none"]'),
        (2, None, None, None, None, None),
        (3, None, None, None, None, None),  # the old loader knew of none of them
        (4, "app", True, None, None, '["a"]'),
    ]
    (row,) = warehouse.rows("SELECT channel, gift_wrap, tags FROM public.orders WHERE order_id = 'o-1'")
    assert row == {"channel": "app", "gift_wrap": True, "tags": '["a"]'}
    assert len(history(warehouse)) == 5
    types = {row["column_name"]: row["data_type"] for row in warehouse.rows(
        "SELECT column_name, data_type FROM svv_columns WHERE table_name = 'orders'")}  # fmt: skip
    assert (types["tags"], types["weight"], types["picked_at"]) == ("super", "numeric", "timestamp without time zone")


def test_a_start_without_news_changes_nothing(warehouse: MemoryWarehouse) -> None:
    """A restart finds its tables and view as they should be, and asks for no change."""
    Process(warehouse).open()
    redshift, _ = warehouse.connect()
    tables = Tables("public", "orders", image_columns(bundled.load("order")))
    assert evolve(tables, found_of(tables, redshift.query(columns_query(tables)))) == []


def test_the_lock_comes_first(warehouse: MemoryWarehouse) -> None:
    """Columns are added behind the lock that every load takes, in one transaction."""
    Process(warehouse, image=order(without=("currency",))).open()
    redshift, _ = warehouse.connect()
    tables = Tables("public", "orders", image_columns(bundled.load("order")))
    changes = evolve(tables, found_of(tables, redshift.query(columns_query(tables))))
    assert changes[0] == "LOCK TABLE public.load_ledger"
    assert [text.split(" ADD")[0] for text in changes if "ADD COLUMN" in text] == [
        "ALTER TABLE public.orders_current", "ALTER TABLE public.orders_history",
    ]  # fmt: skip
    redshift.run(changes)
    with pytest.raises(StatementError, match="already exists"):  # another loader was faster: it looks again
        redshift.run(changes)


def test_types_widen_by_a_copy(warehouse: MemoryWarehouse) -> None:
    """INTEGER to BIGINT, a wider decimal, JSON text of an older release to SUPER: every row is kept, and the view."""
    image = bundled.load("order")
    narrow = copy.deepcopy(image)
    for field in narrow["fields"]:
        if field["name"] == "revision":
            field["type"] = "int"
        if field["name"] == "total":
            field["type"][1]["precision"] = 9
    _, writer = Process(warehouse, image=narrow).open()
    writer.add([record(0, change(0, "o-1", sequence=1)), record(1, change(1, "o-2", sequence=2, op=Op.DELETE))])
    writer.flush()
    redshift, _ = warehouse.connect()
    redshift.run(["DROP VIEW public.orders"])
    for table in ("orders_current", "orders_history"):
        redshift.run([
            f"ALTER TABLE public.{table} ADD COLUMN lines_text VARCHAR(65535)",
            f"UPDATE public.{table} SET lines_text = lines",
        ])  # fmt: skip
        redshift.run([
            f"ALTER TABLE public.{table} DROP COLUMN lines",
            f"ALTER TABLE public.{table} RENAME COLUMN lines_text TO lines",
        ])  # fmt: skip
    _, writer = Process(warehouse).open()
    writer.add([record(2, change(2, "o-1", sequence=3, revision={"N": str(2**40)}))])
    writer.flush()
    assert len(history(warehouse)) == 3
    (row,) = warehouse.rows("SELECT revision, total, lines FROM public.orders")
    assert row == {
        "revision": 2**40,
        "total": "12.50",
        "lines": '[{"sku":"a","quantity":2,"price":"6.25","extra":{}}]',
    }
    kinds = warehouse.rows(
        "SELECT data_type, numeric_precision FROM svv_columns WHERE table_name = 'orders_history' "
        "AND column_name IN ('lines', 'revision', 'total') ORDER BY column_name"
    )
    assert [row["data_type"] for row in kinds] == ["super", "bigint", "numeric"]
    assert kinds[2]["numeric_precision"] == 18


def test_a_copy_fills_new_columns_too(warehouse: MemoryWarehouse) -> None:
    """A schema that widens one field and gains another: the old rows are wider and have the default."""
    image = order(without=("currency",))
    narrow = copy.deepcopy(image)
    for field in narrow["fields"]:
        if field["name"] == "revision":
            field["type"] = "int"
    _, writer = Process(warehouse, image=narrow).open()
    writer.add([record(0, change(0, "o-1", sequence=1)), record(1, change(1, "o-2", sequence=2, op=Op.DELETE))])
    writer.flush()
    Process(warehouse, image=order(more=ADDED)).open()
    rows = warehouse.rows("SELECT revision, currency, channel FROM public.orders_history ORDER BY feed_ordinal")
    assert [tuple(row.values()) for row in rows] == [(1, None, "web"), (None, None, None)]


def test_a_type_that_does_not_fit_is_refused(warehouse: MemoryWarehouse) -> None:
    """Text does not become a number: the consumer says which column, and nothing is changed."""
    image = bundled.load("order")
    other = copy.deepcopy(image)
    for field in other["fields"]:
        if field["name"] == "customerId":
            field["type"] = "long"
    Process(warehouse, image=other).open()
    with pytest.raises(ConfigError, match=r"customer_id of .* is BIGINT, and the image schema needs"):
        Process(warehouse).open()


def test_a_column_that_someone_added_is_kept(warehouse: MemoryWarehouse) -> None:
    """A column of somebody else stays when columns are added, and stops a copy that would lose it."""
    Process(warehouse, image=order(without=("currency",))).open()
    redshift, _ = warehouse.connect()
    redshift.run(["ALTER TABLE public.orders_history ADD COLUMN note VARCHAR(10)"])
    Process(warehouse).open()
    assert redshift.query("SELECT note, currency FROM public.orders_history") == []
    wider = copy.deepcopy(bundled.load("order"))
    for field in wider["fields"]:
        if field["name"] == "total":
            field["type"][1]["precision"] = 30
    with pytest.raises(ConfigError, match=r"column note of .* is none of the feed's"):
        Process(warehouse, image=wider).open()
