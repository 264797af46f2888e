"""Headers: CloudEvents 1.0 in Kafka's binary mode, and the facts they give back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.change import Change, Op, Source
from schemas.errors import PoisonError
from schemas.headers import REPLAY, facts_of, headers_of
from schemas.version import Version

STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-24T10:00:00.000"


def test_the_headers_of_a_change(change_of: Callable[..., Change]) -> None:
    """Name by name, value by value: this is the contract with readers that do not decode."""
    shard = "shardId-00000001764000000123-abcdef12"
    assert headers_of(change_of()) == [
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{shard}:123456789012345678901".encode()),
        ("ce_source", STREAM.encode()),
        ("ce_type", b"changefeed.change.u"),
        ("ce_time", b"2025-11-24T16:00:00Z"),
        ("ce_subject", b"o-1"),
        ("ce_partitionkey", b"o-1"),
        ("ce_sequence", b"0000000000000000000123456789012345678901"),
        ("ce_shard", shard.encode()),
        ("ce_ordinal", b"7"),
        ("ce_epoch", b"1"),
        ("ce_capturedtime", b"2025-11-24T16:00:00.999Z"),
        ("content-type", b"application/avro"),
    ]


@given(
    op=st.sampled_from(Op),
    sequence=st.integers(0, 10**40 - 1),
    ordinal=st.integers(0, 2**62),
    epoch=st.integers(1, 2**31),
    key=st.text(),
    occurred=st.integers(0, 4_000_000_000_000),
    captured=st.integers(0, 4_000_000_000_000),
    stream=st.sampled_from([STREAM, ""]),
)
def test_facts_are_what_the_change_says(
    op: Op, sequence: int, ordinal: int, epoch: int, key: str, occurred: int, captured: int, stream: str
) -> None:
    """For any change, the facts read from its headers are the change's own."""
    source = Source("orders", "eu-west-1", stream, "shard", sequence, ordinal, f"shard:{sequence}")
    change = Change(op, {"orderId": {"S": key}}, None, None, source, Version(epoch, sequence), occurred, captured)
    facts = facts_of(headers_of(change))
    assert facts.op is op
    assert facts.version == change.version
    assert (facts.event_id, facts.shard, facts.ordinal) == (source.event_id, "shard", ordinal)
    assert (facts.occurred_at_ms, facts.captured_at_ms, facts.subject) == (occurred, captured, key)
    assert facts.source == (stream or "urn:dynamodb:eu-west-1:orders")
    assert facts.replay is None


def test_an_unknown_op_is_an_upsert(change_of: Callable[..., Change]) -> None:
    """A reader meets a ce_type of a later version: it is an upsert by `after`."""
    headers = [
        (name, b"changefeed.change.x" if name == "ce_type" else value) for name, value in headers_of(change_of())
    ]
    assert facts_of(headers).op is Op.UPDATE


def test_a_replay_is_told(change_of: Callable[..., Change]) -> None:
    """The header that a replay adds is among the facts."""
    assert (
        facts_of([*headers_of(change_of()), (REPLAY, b"orders.replay.warehouse")]).replay == "orders.replay.warehouse"
    )


@pytest.mark.parametrize(
    "missing",
    [
        "ce_id",
        "ce_source",
        "ce_type",
        "ce_time",
        "ce_subject",
        "ce_sequence",
        "ce_shard",
        "ce_ordinal",
        "ce_epoch",
        "ce_capturedtime",
    ],
)
def test_a_missing_or_broken_header_is_poison(change_of: Callable[..., Change], missing: str) -> None:
    """A record without one of the headers, or with a null in it, was not written by a feed."""
    headers = headers_of(change_of())
    with pytest.raises(PoisonError, match="not those of a change"):
        facts_of([header for header in headers if header[0] != missing])
    with pytest.raises(PoisonError, match="not those of a change"):
        facts_of([(name, None if name == missing else value) for name, value in headers])


def test_no_headers_are_poison() -> None:
    """confluent_kafka gives None for a record without headers."""
    with pytest.raises(PoisonError):
        facts_of(None)
