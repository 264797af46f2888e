"""A dead letter once more, without a broker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from connectors.dynamodb_streams import Page
from consumers.runtime.contracts import Record
from consumers.runtime.dead_letters import context_headers
from consumers.runtime.memory import MemoryRecord
from feed.operate.letters import Stored
from feed.operate.retry_change import change_of
from feed.operate.retry_effect import Restored, retry_effect
from producers.stream import FeedSource
from producers.stream.batch import PageContext, compose
from producers.stream.translate import translator
from schemas import bundled
from schemas.change import Change, Op
from schemas.codec import ChangeCodec
from schemas.errors import FatalError, PoisonError, RetryableError
from schemas.headers import facts_of
from schemas.position import Position
from tests.unit.order_changes import change, order

CODEC = ChangeCodec.for_image(bundled.load("order"))
SOURCE = FeedSource(feed="orders", table="orders", region="eu-west-1")
CHANGE = change(Op.CREATE, None, order("created", 1), sequence=10)


def refused(error: PoisonError, value: bytes | None = None) -> Stored:
    """A dead letter as the runtime keeps it."""
    record = MemoryRecord("orders", 3, 17, b"o-1", CODEC.encode(CHANGE) if value is None else value, (("a", b"1"),), 99)
    kept = [*(record.headers() or []), *context_headers(record, error, group="orders.shelf", attempt=2)]
    return Stored(5, 1_000, record.key(), record.value(), tuple(kept))


LETTER = refused(PoisonError("no such status", hint=""))


@dataclass
class Sink:
    name: str = "shelf"
    errors: list[Exception] = field(default_factory=list)
    handled: list[Change] = field(default_factory=list)

    def handle(self, change: Change) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.handled.append(change)


class Choosy(Sink):
    def passes_over(self, record: Record) -> str | None:
        return None if record.topic() == "orders" else "replay"


def test_the_sink_meets_the_record_as_it_was() -> None:
    """Topic, place, time, key, value and headers are those of the original, so a sink's own choice is the same."""
    record = Restored(LETTER)
    assert (record.topic(), record.partition(), record.offset(), record.timestamp()) == ("orders", 3, 17, (1, 99))
    assert (record.key(), record.value(), record.headers()) == (b"o-1", CODEC.encode(CHANGE), [("a", b"1")])
    sink = Choosy()
    assert retry_effect(LETTER, sink, decode=CODEC.decode, sleep=pytest.fail) == "handled"
    assert sink.handled == [CHANGE]


def test_what_the_sink_never_wants_is_passed_over() -> None:
    """A dead letter of a replay does not reach a sink that tells customers."""
    record = MemoryRecord("orders.replay", 0, 1, b"o-1", CODEC.encode(CHANGE), (), 0)
    headers = context_headers(record, PoisonError("x", hint=""), group="g", attempt=1)
    sink = Choosy()
    letter = Stored(0, 0, b"o-1", record.value(), tuple(headers))
    assert retry_effect(letter, sink, decode=CODEC.decode, sleep=pytest.fail) == "passed over: replay"
    assert sink.handled == []


def test_a_dependency_that_comes_back_in_time_is_waited_for() -> None:
    """Retryable errors are tried again, with pauses that double."""
    pauses: list[float] = []
    sink = Sink(errors=[RetryableError("busy", hint="")] * 2)
    assert retry_effect(LETTER, sink, decode=CODEC.decode, sleep=pauses.append) == "handled"
    assert pauses == [1, 2]


def test_a_dependency_that_stays_away_ends_the_retry() -> None:
    """The tries are bounded, and the error says why."""
    pauses: list[float] = []
    sink = Sink(errors=[RetryableError("busy", hint="")] * 9)
    with pytest.raises(RetryableError, match="busy"):
        retry_effect(LETTER, sink, decode=CODEC.decode, sleep=pauses.append)
    assert len(pauses) == 4


def test_poison_stays_poison_and_a_fault_of_the_sink_is_fatal() -> None:
    """Neither is tried twice."""
    with pytest.raises(PoisonError, match="never"):
        retry_effect(LETTER, Sink(errors=[PoisonError("never", hint="")]), decode=CODEC.decode, sleep=pytest.fail)
    with pytest.raises(FatalError, match="unexpected"):
        retry_effect(LETTER, Sink(errors=[KeyError("x")]), decode=CODEC.decode, sleep=pytest.fail)
    with pytest.raises(PoisonError):
        retry_effect(refused(PoisonError("", hint=""), b"\xff"), Sink(), decode=CODEC.decode, sleep=pytest.fail)


def stream_record(sequence: int, total: dict[str, str]) -> dict[str, Any]:
    image = {
        "orderId": {"S": "o-1"},
        "status": {"S": "created"},
        "revision": {"N": "1"},
        "customerId": {"S": "c-1"},
        "currency": {"S": "EUR"},
        "total": total,
        "lines": {"L": []},
        "createdAt": {"N": "1764000000000"},
        "updatedAt": {"N": "1764000000000"},
        "seal": {"B": b"\x00\xff"},
    }
    data = {
        "Keys": {"orderId": {"S": "o-1"}},
        "NewImage": image,
        "SequenceNumber": str(sequence),
        "ApproximateCreationDateTime": 1764000000,
    }
    return {"eventName": "INSERT", "dynamodb": data}


def composed(*totals: dict[str, str]) -> tuple[list[Stored], list[tuple[bytes, bytes, object, int]]]:
    """A page of inserts through the producer's own composing: its dead letters as stored, and its changes."""
    records = [stream_record(10 * number, total) for number, total in enumerate(totals, 1)]
    translate = translator(SOURCE, CODEC, stream="arn", shard="shardId-1", epoch=3)
    page = Page(records, "next", 0)
    content = compose(page, Position("shardId-1", "arn"), PageContext("orders", 0, 3, 7_000, CODEC, translate, 10**6))
    dead = [Stored(n, at, key, value, tuple(headers)) for n, (key, value, headers, at) in enumerate(content.dead)]
    return dead, list(content.changes)


def test_a_mended_record_becomes_the_change_that_it_would_have_been() -> None:
    """Same bytes, headers, key and time as the producer would have published in its place: ordinal 1, epoch 3."""
    (letter,), _ = composed({"N": "1"}, {"S": "broken"})
    _, changes = composed({"N": "1"}, {"N": "2"})
    assert letter.value is not None
    mended = letter.value.replace(b'{"S":"broken"}', b'{"N":"2"}')
    assert mended != letter.value
    again = change_of(Stored(0, letter.at_ms, letter.key, mended, letter.headers), SOURCE, CODEC)
    assert again == changes[1]
    facts = facts_of(again[2])
    assert (facts.ordinal, facts.epoch, facts.sequence, facts.event_id) == (1, 3, 20, "shardId-1:20")


def test_a_record_that_is_still_poison_stays_a_dead_letter() -> None:
    """The reason names the attribute, as the first time."""
    (letter,), _ = composed({"S": "broken"})
    with pytest.raises(PoisonError) as poison:
        change_of(letter, SOURCE, CODEC)
    assert poison.value.path == "after.total"


@pytest.mark.parametrize("value", [b"", b"[]", b'{"dynamodb":{}}', b'{"dynamodb":{"SequenceNumber":"10"}}'])
def test_what_is_no_dead_letter_of_a_producer_is_refused(value: bytes) -> None:
    """A record that something else wrote is never published."""
    (letter,), _ = composed({"S": "broken"})
    with pytest.raises(PoisonError):
        change_of(Stored(0, 0, b"o-1", value, letter.headers), SOURCE, CODEC)


def test_a_record_that_its_headers_contradict_is_never_published() -> None:
    """Another sequence number in the value than in the header: the identity is in doubt, however good the rest."""
    (letter,), _ = composed({"S": "broken"})
    good = orjson.dumps(stream_record(11, {"N": "1"}), default=lambda _: "AA==")
    with pytest.raises(PoisonError, match="header says otherwise"):
        change_of(Stored(0, 0, b"o-1", good, letter.headers), SOURCE, CODEC)
