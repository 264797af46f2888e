"""The records of the positions topic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import FatalError
from schemas.position import BASELINE_KEY, Baseline, Position, ShardState, SlotRecord, slot_of

texts = st.text(max_size=10)
times = st.integers(0, 2**41)


@given(
    st.builds(
        Position,
        shard=st.text(min_size=1, max_size=20),
        stream=texts,
        state=st.sampled_from(ShardState),
        sequence=st.none() | st.integers(0, 10**40),
        ordinal=st.integers(-1, 10**12),
        parent=texts,
        epoch=st.integers(1, 10**6),
        start=texts,
        since_ms=times,
        at_ms=times,
        held=texts,
        unlisted_at_ms=times,
    )
)
def test_a_position_comes_back_as_it_went(position: Position) -> None:
    """Law: to_json then from_json is the identity, sequence numbers of 40 digits included."""
    assert Position.from_json(position.key, position.to_json()) == position


@given(
    st.builds(
        Baseline,
        stream=texts,
        epoch=st.integers(1, 99),
        at_ms=times,
        since_ms=times,
        start=texts,
        shards=st.dictionaries(texts, texts, max_size=4),
        gone=st.lists(texts, max_size=3).map(tuple),
        after=texts,
        held=texts,
    )
)
def test_a_baseline_comes_back_as_it_went(baseline: Baseline) -> None:
    """Law: to_json then from_json is the identity."""
    assert Baseline.from_json(baseline.to_json()) == baseline


def test_a_slot_record_comes_back_as_it_went() -> None:
    """To_json then from_json is the identity."""
    record = SlotRecord(3, "arn", 12)
    assert SlotRecord.from_json(record.to_json()) == record


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"v":2}', b"\xff"])
def test_what_is_no_position_is_fatal(value: bytes) -> None:
    """A foreign record or a later format stops the reader instead of being skipped."""
    with pytest.raises(FatalError):
        Position.from_json(b"shard", value)
    with pytest.raises(FatalError):
        Baseline.from_json(value)


def test_slots_are_crc32_of_the_shard_id() -> None:
    """The rule is part of the format: other programs compute it too."""
    assert slot_of("shardId-00000001795516907694-47b9c7c6", 8) == 5
    assert BASELINE_KEY.decode().startswith("@")
