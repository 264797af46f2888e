"""What a page puts into a transaction."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.dynamodb_streams import Page
from producers.stream.batch import Content, PageContext, compose
from producers.stream.translate import FeedSource, translator
from schemas import bundled
from schemas.change import Op
from schemas.codec import ChangeCodec
from schemas.control import ControlKind
from schemas.headers import facts_of
from schemas.position import Position, ShardState

CODEC = ChangeCodec.for_image(bundled.load("order"))
SOURCE = FeedSource("orders", "orders", "eu-west-1", time_attribute="updatedAt")
STREAM = "arn:aws:dynamodb:eu-west-1:1:table/orders/stream/1"
BASE = 10**23  # AWS-sized sequence numbers


def item(order: str, revision: int = 1) -> dict[str, Any]:
    return {
        "orderId": {"S": order},
        "status": {"S": "created"},
        "revision": {"N": str(revision)},
        "customerId": {"S": "c-1"},
        "currency": {"S": "EUR"},
        "total": {"N": "12.5"},
        "lines": {"L": []},
        "createdAt": {"N": "1700000000123"},
        "updatedAt": {"N": "1700000000123"},
    }


def record(number: int, name: str = "INSERT", order: str = "o-1", *, at_s: float = 1_700_000_000) -> dict[str, Any]:
    data: dict[str, Any] = {
        "ApproximateCreationDateTime": at_s,
        "Keys": {"orderId": {"S": order}},
        "SequenceNumber": str(BASE + number),
    }
    if name != "INSERT":
        data["OldImage"] = item(order)
    if name != "REMOVE":
        data["NewImage"] = item(order, number + 1)
    return {"eventID": str(number), "eventName": name, "dynamodb": data}


def composed(page: Page, position: Position, *, epoch: int = 1, record_max_bytes: int = 10**6) -> Content:
    translate = translator(SOURCE, CODEC, stream=STREAM, shard=position.shard, epoch=epoch)
    context = PageContext("orders", 3, epoch, 1_700_000_001_500, CODEC, translate, record_max_bytes)
    return compose(page, position, context)


def start(**fields: Any) -> Position:
    return Position("shard-a", STREAM, parent="shard-0", **fields)


def page_of(*records: dict[str, Any], last: bool = False) -> Page:
    return Page(list(records), None if last else "next", 100)


def test_ordinals_are_dense_and_the_position_is_what_stands_beside_it() -> None:
    """Three records get the ordinals 0, 1, 2, and the position names the last of them."""
    content = composed(page_of(record(1), record(2, "MODIFY"), record(3, "REMOVE")), start())
    facts = [facts_of(headers) for _, _, headers, _ in content.changes]
    assert [fact.ordinal for fact in facts] == [0, 1, 2]
    assert [fact.op for fact in facts] == [Op.CREATE, Op.UPDATE, Op.DELETE]
    assert content.position.sequence == BASE + 3
    assert content.position.ordinal == 2
    assert content.position.state is ShardState.READING
    assert not content.control


def test_the_end_of_a_shard_is_told_with_its_last_records() -> None:
    """A page without a next iterator makes the position terminal and tells shard-end with the last ordinal."""
    content = composed(page_of(record(1), last=True), start(ordinal=6, sequence=BASE, state=ShardState.READING))
    assert content.position.state is ShardState.FINISHED
    (end,) = content.control
    assert (end.kind, end.ordinal, end.shard) == (ControlKind.SHARD_END, 7, "shard-a")


def test_an_empty_shard_ends_with_minus_one() -> None:
    """A shard that had no change ends with ordinal -1."""
    content = composed(page_of(last=True), start())
    assert content.control[0].ordinal == -1
    assert content.position.sequence is None


def test_what_was_read_before_is_left_out() -> None:
    """Records at or below the position are not published again; sequence numbers compare as integers (10 > 9)."""
    position = start(sequence=9, ordinal=4, state=ShardState.READING)
    old, new = record(0), record(1)
    old["dynamodb"]["SequenceNumber"], new["dynamodb"]["SequenceNumber"] = "9", "10"
    content = composed(page_of(old, new), position)
    assert content.skipped == 1
    assert content.position.sequence == 10
    assert content.position.ordinal == 5


def test_a_record_that_cannot_be_translated_is_a_dead_letter_with_its_ordinal() -> None:
    """The dead letter is whole, keeps its ordinal, is told as refused, and the next change goes on behind it."""
    bad = record(2, "MODIFY", "o-2")
    bad["dynamodb"]["NewImage"]["total"] = {"N": "no number"}
    content = composed(page_of(record(1), bad, record(3)), start())
    assert [facts_of(h).ordinal for _, _, h, _ in content.changes] == [0, 2]
    ((key, value, headers, _),) = content.dead
    assert key == b"o-2"
    assert json.loads(value) == bad
    assert dict(headers)["ce_ordinal"] == b"1"
    assert dict(headers)["dead_letter_reason"]
    assert dict(headers)["dead_letter_path"] == b"after.total"
    (refused,) = content.control
    assert (refused.kind, refused.ordinal, refused.sequence) == (ControlKind.REFUSED, 1, BASE + 2)


@pytest.mark.parametrize("field", ["eventName", "dynamodb.Keys", "dynamodb.ApproximateCreationDateTime"])
def test_a_record_that_lacks_a_part_is_a_dead_letter(field: str) -> None:
    """Whatever is missing, a record with a sequence number is accounted for."""
    bad = record(1)
    *path, name = field.split(".")
    del (bad[path[0]] if path else bad)[name]
    content = composed(page_of(bad), start())
    assert len(content.dead) == 1
    assert content.position.sequence == BASE + 1


def test_a_change_too_large_for_kafka_is_a_dead_letter() -> None:
    """A value above the limit is refused before Kafka would refuse the whole batch."""
    content = composed(page_of(record(1)), start(), record_max_bytes=10)
    assert not content.changes
    assert len(content.dead) == 1


def test_binary_values_survive_in_a_dead_letter() -> None:
    """Binary attributes are base64 in the dead letter's JSON."""
    bad = record(1)
    bad["dynamodb"]["NewImage"] = {"orderId": {"B": b"\x00\xff"}}
    content = composed(page_of(bad), start())
    assert json.loads(content.dead[0][1])["dynamodb"]["NewImage"]["orderId"] == {"B": "AP8="}


def test_deletes_have_their_key_and_before_image_and_ttl_is_told() -> None:
    """A delete carries the old image; one by time-to-live is marked, in both spellings of the identity."""
    for identity in ({"PrincipalId": "dynamodb.amazonaws.com"}, {"principalId": "dynamodb.amazonaws.com"}):
        expired = record(1, "REMOVE") | {"userIdentity": {**identity, "Type": "Service"}}
        content = composed(page_of(expired), start())
        change = CODEC.decode(content.changes[0][1])
        assert change.op is Op.DELETE
        assert change.source.ttl
        assert change.after is None
        assert change.before is not None
        assert content.changes[0][0] == b"o-1"
    assert not CODEC.decode(composed(page_of(record(1, "REMOVE")), start()).changes[0][1]).source.ttl


def test_a_start_with_what_is_new_leaves_out_what_is_older_until_a_record_is_seen() -> None:
    """Older records are not counted; the first newer one ends the filter for good."""
    position = start(start="latest@1700000060000")
    early, late = record(1, at_s=1_699_999_999), record(2, at_s=1_700_000_060)
    first = composed(page_of(early), position)
    assert not first.changes
    assert first.position.start == "latest@1700000060000"
    second = composed(page_of(late, record(3, at_s=1_699_999_999)), first.position)
    assert next(facts_of(h).ordinal for _, _, h, _ in second.changes) == 0
    assert second.position.start == ""


def test_the_epoch_is_the_slots() -> None:
    """Changes and position are published under the epoch of the baseline."""
    content = composed(page_of(record(1)), start(epoch=1), epoch=4)
    assert facts_of(content.changes[0][2]).epoch == 4
    assert content.position.epoch == 4


@given(st.lists(st.integers(1, 5), max_size=8), st.sets(st.integers(0, 30)))
def test_however_pages_are_cut_the_changes_are_the_same(cuts: list[int], bad: set[int]) -> None:
    """Law: ordinals, dead letters and the last position do not depend on the pages' limits."""
    total = sum(cuts)
    records = [record(n + 1) for n in range(total)]
    for n in bad & set(range(total)):
        records[n]["eventName"] = "WHAT"
    whole = composed(Page(records, "next", 1), start())
    position, changes, dead, taken = start(), [], [], 0
    for cut in cuts:
        content = composed(Page(records[taken : taken + cut], "next", 1), position)
        position, taken = content.position, taken + cut
        changes += content.changes
        dead += content.dead
    assert changes == whole.changes
    assert dead == whole.dead
    if cuts:
        assert position == whole.position
    ordinals = [int(dict(h)["ce_ordinal"]) for _, _, h, _ in [*changes, *dead]]
    assert sorted(ordinals) == list(range(total))
