"""Control events as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.control import ControlEvent, ControlKind, decode_control, encode_control
from schemas.errors import PoisonError

sequences = st.one_of(st.none(), st.integers(0, 10**40 - 1))
events = st.builds(
    ControlEvent,
    kind=st.sampled_from(ControlKind),
    feed=st.text(),
    at_ms=st.integers(0, 2**60),
    stream=st.text(),
    shard=st.text(),
    parent=st.text(),
    epoch=st.integers(0, 2**60),
    slot=st.integers(-1, 2**30),
    ordinal=st.integers(-1, 2**60),
    sequence=sequences,
    to_sequence=sequences,
    certain=st.booleans(),
    reason=st.text(),
)


@given(events)
def test_a_control_event_survives_its_bytes(event: ControlEvent) -> None:
    """Every kind with every field comes back."""
    assert decode_control(encode_control(event)) == event


def test_a_cut_control_event_is_poison() -> None:
    """However it is cut, it is poison."""
    value = encode_control(ControlEvent(ControlKind.GAP, "orders", 5, sequence=10**39, reason="trimmed"))
    for length in range(len(value)):
        with pytest.raises(PoisonError):
            decode_control(value[:length])
