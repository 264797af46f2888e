"""``feed archive``: list, read and verify, on a bucket in memory."""

from __future__ import annotations

import json

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from consumers.archive import ArchiveSettings, ArchiveSink
from consumers.columns import StoredRecord
from consumers.runtime.contracts import Partition
from feed.cli import app
from feed.cli import archive as command
from feed.run import codec as feed_codec
from schemas import bundled
from schemas.change import Change, Op, Source
from schemas.codec import ChangeCodec
from schemas.control import ControlEvent, ControlKind, encode_control
from schemas.headers import headers_of
from schemas.version import Version
from tests.unit.memory_store import InlineExecutor, MemoryStore

START_MS = 1_764_000_000_000
CODEC = ChangeCodec.for_image(bundled.load("order"))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """An archive of twelve changes of three orders over four minutes, which the commands find."""
    store = MemoryStore()
    sink = ArchiveSink(
        store,
        ArchiveSettings(bucket="memory"),
        registry=CollectorRegistry(),
        now_ms=lambda: START_MS,
        executor=InlineExecutor(),
    )
    _, writer = sink.open(Partition("c", "t", "orders", 0), 0)
    for number in range(12):
        change = change_of(number)
        value, headers = CODEC.encode(change), headers_of(change)
        key = f"o-{number % 3}".encode()
        writer.add([StoredRecord("orders", 0, number, key, value, headers, 1, change.occurred_at_ms)])
    writer.flush()
    settings = ArchiveSettings(bucket="memory")
    monkeypatch.setattr(
        command,
        "_archive_of",
        lambda config: command.Archive(store, settings, "orders", 1, None),  # type: ignore[arg-type]  # no AWS here
    )
    monkeypatch.setattr(command, "load", lambda config: None)
    monkeypatch.setattr(feed_codec, "codec_of", lambda config: CODEC)
    return store


def change_of(number: int) -> Change:
    """Change ``number``, in minute ``number // 3``."""
    order = f"o-{number % 3}"
    image = CODEC.image_from_dynamodb(
        {
            "orderId": {"S": order},
            "status": {"S": "paid"},
            "revision": {"N": str(number // 3 + 1)},
            "customerId": {"S": "c"},
            "currency": {"S": "EUR"},
            "total": {"N": "1.25"},
            "lines": {"L": []},
            "createdAt": {"N": str(START_MS)},
            "updatedAt": {"N": str(START_MS)},
        }
    )
    return Change(
        op=Op.UPDATE,
        key={"orderId": {"S": order}},
        before=None,
        after=image,
        source=Source("orders", "eu-west-1", "arn", "shardId-1", number + 1, number, f"shardId-1:{number + 1}"),
        version=Version(1, number + 1),
        occurred_at_ms=START_MS + number // 3 * 60_000,
        captured_at_ms=START_MS,
    )


def test_ls_names_every_object(store: MemoryStore) -> None:
    """A line for each object, by minute."""
    ended = CliRunner().invoke(app, ["archive", "ls"])
    assert ended.exit_code == 0
    assert [line.split()[0][-6:] for line in ended.output.splitlines()] == ["16:00Z", "16:01Z", "16:02Z", "16:03Z"]


def test_cat_prints_the_life_of_one_order(store: MemoryStore) -> None:
    """Every change of the order, as JSON, in order."""
    ended = CliRunner().invoke(app, ["archive", "cat", "--order", "o-1"])
    assert ended.exit_code == 0, ended.output
    lines = [json.loads(line) for line in ended.output.splitlines()]
    assert [(line["after"]["revision"], line["offset"]) for line in lines] == [(1, 1), (2, 4), (3, 7), (4, 10)]
    assert lines[0]["after"]["total"] == "1.25"


def test_verify_ends_with_the_verdict(store: MemoryStore) -> None:
    """0 and "valid" for a whole archive; 1 and the missing ordinals when an object is gone."""
    ended = CliRunner().invoke(app, ["archive", "verify"])
    assert (ended.exit_code, ended.output.splitlines()[-1]) == (0, "valid: 12 records in 4 objects")
    del store.objects[sorted(store.objects)[1]]
    ended = CliRunner().invoke(app, ["archive", "verify"])
    assert ended.exit_code == 1
    assert "missing ordinals of shardId-1: 3-5" in ended.output


def test_verify_as_json_tells_what_was_declared(store: MemoryStore) -> None:
    """The report as one document: an ordinal that the archived control events declare as refused is not missing."""
    ended = CliRunner().invoke(app, ["archive", "verify", "--json"])
    assert (ended.exit_code, json.loads(ended.stdout)["changes"]) == (0, 12)
    del store.objects[sorted(store.objects)[1]]
    sink = ArchiveSink(
        store,
        ArchiveSettings(bucket="memory"),
        registry=CollectorRegistry(),
        now_ms=lambda: START_MS,
        executor=InlineExecutor(),
    )
    _, writer = sink.open(Partition("c", "t2", "orders.control", 0), 0)
    for number in (3, 4, 5):
        refused = ControlEvent(ControlKind.REFUSED, "orders", START_MS, shard="shardId-1", ordinal=number, reason="odd")
        value = encode_control(refused)
        writer.add([StoredRecord("orders.control", 0, number, b"", value, None, 1, START_MS)])
    writer.flush()
    ended = CliRunner().invoke(app, ["archive", "verify", "--json"])
    told = json.loads(ended.stdout)
    assert (ended.exit_code, told["valid"], told["missing_ordinals"]) == (0, True, {})
    assert [(entry["ordinal"], entry["reason"]) for entry in told["declared_ordinals"]] == [
        (3, "odd"),
        (4, "odd"),
        (5, "odd"),
    ]


def test_a_range_is_listed_and_indexed(store: MemoryStore) -> None:
    """Only what lies between the times is listed; indexes are written once."""
    ended = CliRunner().invoke(app, ["archive", "ls", "--from", "2025-11-24T16:01:00", "--to", "2025-11-24T16:03:00"])
    assert [line.split()[0][-6:] for line in ended.output.splitlines()] == ["16:01Z", "16:02Z"]
    ended = CliRunner().invoke(app, ["archive", "index"])
    assert ended.stdout == "1 indexes written, 0 were there\n"
    ended = CliRunner().invoke(app, ["archive", "index"])
    assert ended.stdout == "0 indexes written, 1 were there\n"
