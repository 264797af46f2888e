"""Every sink as evidence: the real sink is filled with a run, then one thing is wrong there, and that is caught."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from prometheus_client import CollectorRegistry

from connectors.dynamodb import EffectTable, create_effect_table
from connectors.redshift import Redshift
from consumers.analytics import AnalyticsSettings, AnalyticsSink
from consumers.analytics.columns import image_columns
from consumers.analytics.tables import Tables
from consumers.archive import ArchiveSettings, ArchiveSink
from consumers.audit import AuditSettings, AuditSink
from consumers.notification import KEY as NOTIFICATION_KEY
from consumers.notification import NotificationSettings, NotificationSink, SendRate
from consumers.runtime.contracts import BatchSink, Partition
from consumers.runtime.memory import MemoryRecord
from consumers.warehouse import KEY as PICK_KEY
from consumers.warehouse import WarehouseSettings, WarehouseSink
from feed.verify import Finding, Judge, Place, Seen, expect, last_change
from feed.verify.record import RecordReader
from feed.verify.stores import ArchiveEvidence, AuditEvidence
from feed.verify.tables import NotificationEvidence, Notified, PickEvidence
from feed.verify.warehouse import CurrentEvidence, HistoryEvidence, RowReader
from feed.workload import WorkloadSettings
from feed.workload.rehearsal import START_MS, rehearse
from schemas import bundled
from schemas.change import Op
from schemas.codec import ChangeCodec, Depth
from schemas.headers import headers_of
from schemas.key import key_bytes
from tests.unit.memory_store import InlineExecutor, MemoryStore
from tests.unit.memory_warehouse import MemoryWarehouse

SCHEMA = bundled.load("order")
CODEC = ChangeCodec.for_image(SCHEMA)
RUN = rehearse(
    WorkloadSettings(rate_per_s=50, seconds=6, lanes=1, delete_share=0.5, burst_share=0.3, pause_ms=200, hot_share=0.2)
)
EXPECTED = expect(RUN.entries)
CHANGES = list(RUN.changes(CODEC))
PARTITION = Partition("cluster", "topic-id", "orders", 0)

Faulty = Callable[[list[MemoryRecord]], list[MemoryRecord]]


def judged(evidence: Any) -> Finding:
    judge = Judge(EXPECTED, evidence.place)
    for seen in evidence.changes():
        if isinstance(seen, Seen):
            judge.see(seen)
        else:
            judge.see_unreadable(seen)
    return judge.conclude()


def counts(finding: Finding) -> dict[str, int]:
    return {kind: faults.count for kind, faults in finding.faults().items() if faults.count}


# stores of raw records


def records() -> list[MemoryRecord]:
    return [
        MemoryRecord(
            "orders",
            0,
            0,
            key_bytes(change.key),
            CODEC.encode(change),
            tuple(headers_of(change)),
            change.occurred_at_ms,
        )
        for change in CHANGES
    ]


def dropped(row: list[MemoryRecord]) -> list[MemoryRecord]:
    return row[:20] + row[21:]


def doubled(row: list[MemoryRecord]) -> list[MemoryRecord]:
    return [*row, row[20]]


def swapped(row: list[MemoryRecord]) -> list[MemoryRecord]:
    first = next(place for place in range(10, len(row)) if row[place].key() in {one.key() for one in row[place + 1 :]})
    second = next(place for place in range(first + 1, len(row)) if row[place].key() == row[first].key())
    row[first], row[second] = row[second], row[first]
    return row


def altered(row: list[MemoryRecord]) -> list[MemoryRecord]:
    value = row[20].value() or b""
    at = value.index(b"created" if b"created" in value else b"EUR" if b"EUR" in value else b"SKU")
    changed = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
    row[20] = MemoryRecord("orders", 0, 0, row[20].key(), changed, row[20].header_list, row[20].timestamp_ms)
    return row


def filled(sink: BatchSink, row: list[MemoryRecord]) -> None:
    start, writer = sink.open(PARTITION, 0)
    numbered = [
        MemoryRecord("orders", 0, start + place, one.key(), one.value(), one.header_list, one.timestamp_ms)
        for place, one in enumerate(row)
    ]
    for place in range(0, len(numbered), 50):
        writer.add(numbered[place : place + 50])
    writer.flush()
    writer.close()


def audit_of(row: list[MemoryRecord]) -> AuditEvidence:
    store = MemoryStore()
    settings = AuditSettings(bucket="b", segment_bytes=16_384)
    filled(
        AuditSink(store, settings, registry=CollectorRegistry(), now_ms=lambda: START_MS, executor=InlineExecutor()),
        row,
    )
    return AuditEvidence(Place("audit", "eu", bursts=True), store, settings.prefix, "orders", RecordReader(CODEC))


def archive_of(row: list[MemoryRecord]) -> ArchiveEvidence:
    store = MemoryStore()
    settings = ArchiveSettings(bucket="b")
    filled(
        ArchiveSink(store, settings, registry=CollectorRegistry(), now_ms=lambda: START_MS, executor=InlineExecutor()),
        row,
    )
    return ArchiveEvidence(Place("archive", "eu", ordered=False), store, settings.prefix, "orders", RecordReader(CODEC))


STORES = {"audit": audit_of, "archive": archive_of}


@pytest.mark.parametrize("store", STORES)
def test_a_store_that_holds_all_is_found_whole(store: str) -> None:
    """Audit log and archive, filled by their sinks, hold every change once; the log every burst in full."""
    finding = judged(STORES[store](records()))
    assert finding.holds, finding
    assert finding.found == len(CHANGES)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(
    "fault, kind", [(dropped, "missing"), (doubled, "duplicated"), (swapped, "out of order"), (altered, "")]
)
def test_one_fault_in_a_store_is_caught(store: str, fault: Faulty, kind: str) -> None:
    """Dropped, doubled, swapped, one bit altered: each is found; order is not judged in the archive."""
    finding = judged(STORES[store](fault(records())))
    found = counts(finding)
    if store == "archive" and kind == "out of order":
        assert finding.holds
    elif kind:
        assert found[kind] == 1
    else:
        assert not finding.holds


# tables of effects


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")


class Scanned:
    """A client whose table is a list of items."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.items = items

    def get_paginator(self, _name: str) -> Scanned:
        return self

    def paginate(self, **_arguments: object) -> list[dict[str, Any]]:
        return [{"Items": self.items[:7]}, {"Items": self.items[7:]}]


@pytest.fixture(scope="module")
def pick_items(dynamodb: Any) -> list[dict[str, Any]]:
    """The picks of the run, acted on by the real sink, every other change delivered twice."""
    create_effect_table(dynamodb, "picks", PICK_KEY)
    settings = WarehouseSettings(keep_history=12)
    sink = WarehouseSink(EffectTable(dynamodb, "picks"), settings, registry=CollectorRegistry(), now_ms=lambda: 1)
    for place, change in enumerate(CHANGES):
        sink.handle(change)
        if place % 2:
            sink.handle(change)
    return [item for page in dynamodb.get_paginator("scan").paginate(TableName="picks") for item in page["Items"]]


def picks_of(items: list[dict[str, Any]]) -> PickEvidence:
    return PickEvidence(Place("warehouse", "us", bursts=True), Scanned(items), "picks")


def test_picks_show_every_change_once(pick_items: list[dict[str, Any]]) -> None:
    """By their lists, and beyond those by their counts: all changes, all bursts, also of orders that came back."""
    assert max(int(item["lastNumber"]["N"]) for item in pick_items) > 12
    assert any(int(item["firstNumber"]["N"]) > 1 for item in pick_items)
    finding = judged(picks_of(pick_items))
    assert finding.holds, finding
    assert finding.found == len(CHANGES)
    assert finding.bursts == len(EXPECTED.bursts)


def forget_pick(items: list[dict[str, Any]]) -> None:
    del items[3]


def forget_change(items: list[dict[str, Any]]) -> None:
    item = next(one for one in items if int(one["lastNumber"]["N"]) in {3, 4} and one["firstNumber"]["N"] == "1")
    del item["seen"]["L"][1]
    item["changes"]["N"] = str(int(item["changes"]["N"]) - 1)


def miscount_hot(items: list[dict[str, Any]]) -> None:
    item = max(items, key=lambda one: int(one["lastNumber"]["N"]))
    item["changes"]["N"] = str(int(item["changes"]["N"]) - 1)


def double_change(items: list[dict[str, Any]]) -> None:
    item = next(one for one in items if int(one["lastNumber"]["N"]) in {3, 4} and one["firstNumber"]["N"] == "1")
    item["seen"]["L"].append(item["seen"]["L"][-1])
    item["changes"]["N"] = str(int(item["changes"]["N"]) + 1)


def swap_changes(items: list[dict[str, Any]]) -> None:
    seen = next(one for one in items if len(one["seen"]["L"]) > 2)["seen"]["L"]
    seen[0], seen[1] = seen[1], seen[0]


def alter_status(items: list[dict[str, Any]]) -> None:
    items[2]["seen"]["L"][0]["S"] = items[2]["seen"]["L"][0]["S"].replace("created", "creates")


@pytest.mark.parametrize(
    "tamper, kind",
    [
        (forget_pick, "missing"),
        (forget_change, "missing"),
        (miscount_hot, "missing"),
        (double_change, "duplicated"),
        (swap_changes, "out of order"),
        (alter_status, "altered"),
    ],
)
def test_one_fault_in_the_picks_is_caught(
    pick_items: list[dict[str, Any]], tamper: Callable[[list[dict[str, Any]]], None], kind: str
) -> None:
    """A pick or a change of it forgotten, counted short, doubled, swapped, with another status: each is found."""
    items = copy.deepcopy(pick_items)
    tamper(items)
    assert counts(judged(picks_of(items)))[kind] >= 1


class Outbox:
    """A messenger that takes everything."""

    def send(self, _message: object) -> str:
        return "m"


@pytest.fixture(scope="module")
def notification_items(dynamodb: Any) -> list[dict[str, Any]]:
    """The notifications of the run, sent by the real sink, every other change delivered twice."""
    create_effect_table(dynamodb, "notifications", NOTIFICATION_KEY)
    sink = NotificationSink(
        "orders",
        EffectTable(dynamodb, "notifications"),
        Outbox(),
        notification_settings(),
        rate=SendRate(100_000, monotonic=lambda: 0.0, sleep=lambda _: None),
        registry=CollectorRegistry(),
        now_ms=lambda: 1,
    )
    for place, change in enumerate(CHANGES):
        sink.handle(change)
        if place % 2:
            sink.handle(change)
    pages = dynamodb.get_paginator("scan").paginate(TableName="notifications")
    return [item for page in pages for item in page["Items"]]


def notification_settings() -> NotificationSettings:
    return NotificationSettings.model_validate({"messenger": {"kind": "ses", "sender": "shop@example.org"}})


def notified(items: list[dict[str, Any]]) -> Finding:
    wanted = Notified(frozenset(notification_settings().templates))
    place = Place("notification", "eu", wanted=wanted, ordered=False)
    return judged(NotificationEvidence(place, Scanned(items), "notifications", EXPECTED, wanted))


def test_each_status_change_was_told_once(notification_items: list[dict[str, Any]]) -> None:
    """One notification for each change to a status with a template, none for touches, deletes and no-ops."""
    finding = notified(notification_items)
    assert finding.holds, finding
    assert finding.found == len(notification_items) > 20


@pytest.mark.parametrize("fault", ["lost", "twice", "claimed", "stranger"])
def test_one_fault_in_the_notifications_is_caught(notification_items: list[dict[str, Any]], fault: str) -> None:
    """Not sent, sent for another event as well, stuck in between, sent about an order nobody knows: each is found."""
    items = copy.deepcopy(notification_items)
    if fault == "lost":
        del items[5]
    elif fault == "claimed":
        items[5]["state"]["S"] = "claimed"
    else:
        extra = copy.deepcopy(items[5])
        extra["notificationId"]["S"] = f"shardId-9:99999999/{extra['status']['S']}"
        if fault == "stranger":
            extra["orderId"]["S"] = "o-nobody"
        items.append(extra)
    finding = notified(items)
    assert (
        counts(finding)
        == {
            "lost": {"missing": 1},
            "twice": {"unexpected": 1},
            "claimed": {"missing": 1, "unexpected": 1},
            "stranger": {"unexpected": 1},
        }[fault]
    )


# the data warehouse


TABLES = Tables("public", "orders", image_columns(SCHEMA))


@pytest.fixture
def redshift() -> Redshift:
    """A warehouse loaded by the real sink."""
    store = MemoryStore()
    connection, _ = MemoryWarehouse(store).connect()
    sink = AnalyticsSink(
        store,
        connection,
        image=SCHEMA,
        decode=lambda value: CODEC.decode(value, Depth.AFTER),
        settings=AnalyticsSettings(bucket="b"),
        registry=CollectorRegistry(),
        now_ms=lambda: START_MS,
        executor=InlineExecutor(),
    )
    filled(sink, records())
    return connection


def warehouse_findings(redshift: Redshift) -> tuple[Finding, Finding]:
    rows = RowReader(TABLES, SCHEMA, CODEC.image_to_dynamodb)
    history = HistoryEvidence(Place("history", "ap", ordered=False), redshift, TABLES, rows)
    current = CurrentEvidence(Place("state", "ap", wanted=last_change, ordered=False), redshift, TABLES, rows)
    return judged(history), judged(current)


def test_a_warehouse_that_holds_all_is_found_whole(redshift: Redshift) -> None:
    """Items built back from typed columns are, by digest, what was written; history whole, state the last of each."""
    history, current = warehouse_findings(redshift)
    assert history.holds, history
    assert current.holds, current
    assert (history.found, current.found) == (len(CHANGES), len(EXPECTED.orders))
    assert any(change.op is Op.DELETE for change in CHANGES)


TAMPERINGS = {
    "dropped": "DELETE FROM public.orders_{table} WHERE feed_event_id = '{event}'",
    "doubled": "INSERT INTO public.orders_{table} SELECT * FROM public.orders_{table} WHERE feed_event_id = '{event}'",
    "altered": "UPDATE public.orders_{table} SET total = total + 0.01 WHERE feed_event_id = '{event}'",
    "renamed": "UPDATE public.orders_{table} SET feed_key = 'o-other' WHERE feed_event_id = '{event}'",
}
KINDS = {"dropped": "missing", "doubled": "duplicated", "altered": "altered", "renamed": "missing"}


@pytest.mark.parametrize("table", ["history", "current"])
@pytest.mark.parametrize("fault", TAMPERINGS)
def test_one_fault_in_the_warehouse_is_caught(redshift: Redshift, table: str, fault: str) -> None:
    """A row dropped, doubled, a cent more, under another key, in either table: each is found in that table."""
    living = [row["feed_event_id"] for row in redshift.query("SELECT feed_event_id FROM public.orders_current")]
    ended = {change.source.event_id for change in CHANGES if change.op is Op.DELETE}
    event = next(one for one in sorted(living) if one not in ended)
    redshift.run([TAMPERINGS[fault].format(table=table, event=event)])
    history, current = warehouse_findings(redshift)
    assert counts(history if table == "history" else current)[KINDS[fault]] == 1
