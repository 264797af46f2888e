"""What a filter leaves out, and the laws that hold whatever it leaves out."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.dynamodb_streams import Page
from producers.stream import Condition, FilterSettings, needed_but_omitted
from producers.stream.batch import Content, PageContext, compose
from producers.stream.filter import Dropped, filter_of, holds, item_filter
from producers.stream.translate import FeedSource, translator
from schemas.change import Change, Image
from schemas.headers import facts_of
from schemas.position import Position

STREAM, SHARD = "arn:stream/1", "shard-a"
BASE = 10**22


class Letters:
    """A codec that keeps an image as it is."""

    def encode(self, change: Change) -> bytes:
        """Both images."""
        return repr((change.before, change.after)).encode()

    def image_from_dynamodb(self, attributes: Any) -> Image:
        """As it is."""
        return dict(attributes)


def record(number: int, before: Any, after: Any, *, key: str = "k", ttl: bool = False) -> dict[str, Any]:
    name = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
    data = {
        "Keys": {"id": {"S": key}},
        "SequenceNumber": str(BASE + number),
        "ApproximateCreationDateTime": 1_700_000_000,
    }
    data |= {} if before is None else {"OldImage": before}
    data |= {} if after is None else {"NewImage": after}
    made: dict[str, Any] = {"eventID": str(number), "eventName": name, "dynamodb": data}
    return made | ({"userIdentity": {"principalId": "dynamodb.amazonaws.com", "type": "Service"}} if ttl else {})


def item(**attributes: Any) -> dict[str, Any]:
    """Text as S, numbers as N, true and false as BOOL."""
    typed: dict[str, Any] = {}
    for name, value in attributes.items():
        tag = "BOOL" if isinstance(value, bool) else "S" if isinstance(value, str) else "N"
        typed[name] = {tag: value if tag != "N" else str(value)}
    return typed


def reason(settings: FilterSettings, one: dict[str, Any], *, region_attribute: str | None = None) -> Dropped | None:
    judge = filter_of(settings, region_attribute=region_attribute)
    return None if judge is None else judge(one)


def meets(where: dict[str, Any], image: dict[str, Any]) -> bool:
    return holds(Condition.model_validate(where))(image)


@pytest.mark.parametrize(
    "test, yes, no",
    [
        ({"equals": "paid"}, {"S": "paid"}, {"S": "Paid"}),
        ({"equals": 12.5}, {"N": "12.50"}, {"N": "12.51"}),
        ({"equals": 7}, {"N": "7"}, {"S": "7"}),
        ({"equals": True}, {"BOOL": True}, {"BOOL": False}),
        ({"equals": False}, {"BOOL": False}, {"N": "0"}),
        ({"one_of": ["paid", 3]}, {"N": "3.0"}, {"S": "3"}),
        ({"exists": True}, {"NULL": True}, None),
        ({"exists": False}, None, {"S": ""}),
        ({"starts_with": "EU-"}, {"S": "EU-1"}, {"B": b"EU-1"}),
        ({"greater": 100}, {"N": "100.01"}, {"N": "100"}),
        ({"at_least": 100}, {"N": "1E2"}, {"N": "99.9"}),
        ({"less": "b"}, {"S": "a\U0001f600"}, {"S": "b"}),
        ({"at_most": -1}, {"N": "-1"}, {"N": "0"}),
    ],
)
def test_each_test_of_an_attribute(test: dict[str, Any], yes: Any, no: Any) -> None:
    """It holds for the one and not for the other; what is absent meets only ``exists: false``."""
    where = {"attribute": "a", **test}
    assert meets(where, {} if yes is None else {"a": yes})
    assert not meets(where, {} if no is None else {"a": no})
    assert meets(where, {}) is (test == {"exists": False})


def test_groups_are_joined() -> None:
    """All, any and none, nested."""
    paid, large = {"attribute": "status", "equals": "paid"}, {"attribute": "total", "greater": 100}
    where = {"all": [{"any": [paid, large]}, {"none": [{"attribute": "test", "equals": True}]}]}
    assert meets(where, item(status="paid"))
    assert meets(where, item(status="new", total=101))
    assert not meets(where, item(status="new", total=1))
    assert not meets(where, item(status="paid", test=True))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"all": []},
        {"attribute": "a"},
        {"attribute": "a", "equals": 1, "exists": True},
        {"equals": 1},
        {"all": [{"attribute": "a", "exists": True}], "any": [{"attribute": "a", "exists": True}]},
        {"attribute": "a", "greater": True},
        {"attribute": "a", "like": "x"},
    ],
)
def test_a_condition_says_one_thing(wrong: dict[str, Any]) -> None:
    """Anything else is refused when the configuration is read."""
    with pytest.raises(ValidationError):
        Condition.model_validate(wrong)


def test_a_change_that_leaves_the_condition_is_published() -> None:
    """Before or after meets it; what happens outside does not."""
    settings = FilterSettings(where=Condition(attribute="status", equals="paid"))
    new, paid, sent = item(status="new"), item(status="paid"), item(status="sent")
    assert reason(settings, record(1, None, new)) is Dropped.CONDITION
    assert reason(settings, record(2, new, paid)) is None
    assert reason(settings, record(3, paid, sent)) is None
    assert reason(settings, record(4, sent, item(status="back"))) is Dropped.CONDITION
    assert reason(settings, record(5, sent, None)) is Dropped.CONDITION
    assert reason(settings, record(6, paid, None)) is None
    assert item_filter(settings)(paid)
    assert not item_filter(settings)(new)


def test_ops_and_time_to_live() -> None:
    """Each op can be left out, and deletes by time-to-live apart from the others."""
    assert reason(FilterSettings(ops=("c", "d")), record(1, item(), item(a=1))) is Dropped.OP
    assert reason(FilterSettings(ops=("c", "d")), record(1, None, item())) is None
    without_ttl = FilterSettings(ttl_deletes="drop")
    assert reason(without_ttl, record(1, item(), None, ttl=True)) is Dropped.TTL
    assert reason(without_ttl, record(1, item(), None)) is None


def test_what_another_region_wrote_is_left_to_it() -> None:
    """By the newest image that there is; an item that names no region is kept unless told otherwise."""
    settings = FilterSettings(only_written_in="eu-west-1")
    here, there = item(writer="eu-west-1"), item(writer="us-east-1")
    judged = {
        "insert here": record(1, None, here),
        "update there": record(2, here, there),
        "update here": record(3, there, here),
        "delete of ours": record(4, here, None),
        "delete of theirs": record(5, there, None),
        "unnamed": record(6, None, item()),
    }
    found = {name: reason(settings, one, region_attribute="writer") for name, one in judged.items()}
    assert [name for name, why in found.items() if why is Dropped.REGION] == ["update there", "delete of theirs"]
    strict = FilterSettings(only_written_in="eu-west-1", unnamed_region="drop")
    assert reason(strict, judged["unnamed"], region_attribute="writer") is Dropped.REGION


@given(writers=st.lists(st.sampled_from(["eu-west-1", "us-east-1", "ap-southeast-2"]), min_size=1, max_size=12))
def test_with_a_producer_in_each_region_every_change_is_published_once(writers: list[str]) -> None:
    """The same history in every region's stream: each change passes exactly one region's filter, in its order."""
    images = [item(writer=writer, n=n) for n, writer in enumerate(writers)]
    history = [record(0, None, images[0])]
    history += [record(n, before, after) for n, (before, after) in enumerate(pairwise(images), 1)]
    history.append(record(len(images), images[-1], None))
    for one in history:
        passed = [
            region
            for region in ("eu-west-1", "us-east-1", "ap-southeast-2")
            if reason(FilterSettings(only_written_in=region), one, region_attribute="writer") is None
        ]
        assert len(passed) == 1


def test_updates_of_omitted_attributes_only_can_be_left_out() -> None:
    """An update that changes nothing else is dropped; inserts and deletes never are."""
    settings = FilterSettings(omit=("seen",), drop_unchanged=True)
    assert reason(settings, record(1, item(a=1, seen=1), item(a=1, seen=2))) is Dropped.UNCHANGED
    assert reason(settings, record(2, item(a=1, seen=1), item(a=2, seen=1))) is None
    assert reason(settings, record(3, None, item(seen=1))) is None


def test_what_cannot_be_judged_is_kept() -> None:
    """A malformed record goes on to the translation, which makes a dead letter of it."""
    settings = FilterSettings(where=Condition(attribute="total", greater=1), drop_unchanged=True)
    assert reason(settings, record(1, None, {"total": {"N": "no number"}})) is None
    assert reason(settings, {"eventName": "MODIFY"}) is None
    assert reason(settings, record(2, None, {"total": "no attribute"})) is None


def test_a_filter_that_drops_nothing_costs_nothing() -> None:
    """Omitting alone is done where images are made: there is no filter to ask."""
    assert filter_of(FilterSettings(omit=("a",)), region_attribute=None) is None
    assert FilterSettings(omit=("a",)).active
    assert not FilterSettings().active


def test_an_attribute_that_the_schema_needs_cannot_be_omitted() -> None:
    """Its field cannot be null: every record would be a dead letter."""
    image = {
        "type": "record",
        "name": "Thing",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "note", "attribute": "Note", "type": "string"},
            {"name": "more", "type": ["null", "string"]},
        ],
    }
    assert needed_but_omitted(FilterSettings(omit=("Note", "more", "other")), image) == ("Note",)


# --- laws of a filtered feed

CONDITION = Condition(attribute="status", one_of=("paid", "sent"))
ALL_SETTINGS = st.builds(
    FilterSettings,
    ops=st.lists(st.sampled_from(["c", "u", "d"]), min_size=1, max_size=3, unique=True).map(tuple),
    ttl_deletes=st.sampled_from(["keep", "drop"]),
    where=st.sampled_from([None, CONDITION, Condition(none=(CONDITION,))]),
    omit=st.sampled_from([(), ("seen",)]),
    drop_unchanged=st.booleans(),
    only_written_in=st.sampled_from([None, "eu-west-1"]),
)
ITEMS = st.builds(
    item,
    status=st.sampled_from(["new", "paid", "sent"]),
    seen=st.integers(0, 1),
    writer=st.sampled_from(["eu-west-1", "us-east-1"]),
)


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Records of a few keys, each from the state before."""
    states: dict[str, Any] = {}
    made = []
    for number in range(draw(st.integers(0, 25))):
        key = draw(st.sampled_from(["a", "b", "c"]))
        before = states.get(key)
        after = None if before is not None and draw(st.booleans()) else draw(ITEMS)
        states[key] = after
        made.append(record(number, before, after, key=key, ttl=after is None and draw(st.booleans())))
    return made


def published(settings: FilterSettings, pages: list[list[dict[str, Any]]]) -> list[Content]:
    source = FeedSource("t", "t", "eu-west-1", region_attribute="writer", omit=frozenset(settings.omit))
    translate = translator(source, Letters(), stream=STREAM, shard=SHARD, epoch=1)
    drops = filter_of(settings, region_attribute="writer")
    context = PageContext("t", 0, 1, 1_700_000_000_000, Letters(), translate, 10**6, drops)
    position, contents = Position(SHARD, STREAM, start="trimmed"), []
    for page in pages:
        contents.append(compose(Page(page, "next", 1), position, context))
        position = contents[-1].position
    return contents


def cut(history: list[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    return [history[start : start + size] for start in range(0, len(history), size)]


@given(settings=ALL_SETTINGS, history=histories(), size=st.integers(1, 7))
def test_the_laws_of_a_filtered_feed(settings: FilterSettings, history: list[dict[str, Any]], size: int) -> None:
    """Dense ordinals over what is kept, a subset of the unfiltered feed in its order, positions at the last record."""
    contents = published(settings, cut(history, size))
    facts = [facts_of(headers) for content in contents for _, _, headers, _ in content.changes]
    whole = [
        facts_of(headers) for content in published(FilterSettings(), [history]) for _, _, headers, _ in content.changes
    ]
    assert [fact.ordinal for fact in facts] == list(range(len(facts)))
    judge = filter_of(settings, region_attribute="writer")
    kept = [int(one["dynamodb"]["SequenceNumber"]) for one in history if judge is None or judge(one) is None]
    assert [fact.sequence for fact in facts] == kept
    assert [fact.sequence for fact in whole] == [BASE + number for number in range(len(history))]
    by_key: dict[str, list[int]] = defaultdict(list)
    for fact in facts:
        by_key[fact.subject].append(fact.sequence)
    assert all(numbers == sorted(numbers) for numbers in by_key.values())
    dropped = sum(sum(content.dropped.values()) for content in contents)
    assert dropped + len(facts) == len(history)
    if history:
        last = contents[-1].position
        assert (last.sequence, last.ordinal) == (BASE + len(history) - 1, len(facts) - 1)
        assert last.start == "", "once a record was read the start has done its part, published or not"


@given(settings=ALL_SETTINGS, history=histories())
def test_images_lack_what_is_omitted_and_nothing_else(settings: FilterSettings, history: list[dict[str, Any]]) -> None:
    """The region that wrote an item is told in a header, whatever the images keep."""
    sources = {int(one["dynamodb"]["SequenceNumber"]): one["dynamodb"] for one in history}
    for content in published(settings, [history]):
        for _, value, headers, _ in content.changes:
            data = sources[facts_of(headers).sequence]
            images = [data.get("OldImage"), data.get("NewImage")]
            expected = tuple(
                None if image is None else {n: a for n, a in image.items() if n not in settings.omit}
                for image in images
            )
            assert value == repr(expected).encode()
            assert facts_of(headers).writing_region == (images[1] or images[0] or {})["writer"]["S"]


def test_a_start_at_the_tip_still_cuts_what_is_older() -> None:
    """Records from before the cut are skipped, not counted as filtered, and leave the start as it is."""
    settings = FilterSettings(where=CONDITION)
    translate = translator(FeedSource("t", "t", "eu"), Letters(), stream=STREAM, shard=SHARD, epoch=1)
    drops = filter_of(settings, region_attribute=None)
    context = PageContext("t", 0, 1, 1_700_000_000_000, Letters(), translate, 10**6, drops)
    position = Position(SHARD, STREAM, start="latest@1700000000001")
    old = record(1, None, item(status="paid"))
    old["dynamodb"]["ApproximateCreationDateTime"] -= 100
    content = compose(Page([old], "next", 1), position, context)
    assert (content.skipped, content.dropped, content.position.start) == (1, {}, position.start)
    newer = record(2, None, item(status="new"))
    newer["dynamodb"]["ApproximateCreationDateTime"] = 1_700_000_001
    content = compose(Page([newer], "next", 1), content.position, context)
    assert (content.dropped, content.position.start, content.position.ordinal) == ({Dropped.CONDITION: 1}, "", -1)
