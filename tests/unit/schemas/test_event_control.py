"""Control events as bytes."""

from __future__ import annotations

import copy
import io

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import bundled
from schemas.control import ControlEvent, ControlKind, decode_control, encode_control
from schemas.errors import PoisonError
from schemas.framing import SingleObject, prefix_of
from schemas.released import ReleasedSchemas, released

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


def test_a_value_of_an_earlier_release_is_read() -> None:
    """Control events are a contract too: what the first release wrote is read, whatever is bundled now."""
    release = released("control")[0].schema
    written = io.BytesIO()
    written.write(prefix_of(SingleObject(), release))
    event = {"kind": "gap", "feed": "orders", "at": 5, "reason": "trimmed", "certain": False, "sequence": "7"}
    fastavro.schemaless_writer(written, fastavro.parse_schema(dict(release), named_schemas={}), event)
    back = decode_control(written.getvalue())
    assert (back.kind, back.feed, back.at_ms, back.sequence, back.certain) == (ControlKind.GAP, "orders", 5, 7, False)


def test_an_older_version_reads_what_a_later_one_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that a later schema adds reads as UNKNOWN and its new fields are passed over: no reader stops."""
    later = copy.deepcopy(bundled.load("control"))
    later["fields"][0]["type"]["symbols"].append("paused")
    later["fields"].append({"name": "until", "type": "long", "default": 0})
    monkeypatch.setattr(ReleasedSchemas, "find", lambda *_: later)
    written = io.BytesIO()
    written.write(prefix_of(SingleObject(), later))
    event = {"kind": "paused", "feed": "orders", "at": 5, "until": 9}
    fastavro.schemaless_writer(written, fastavro.parse_schema(later, named_schemas={}), event)
    assert decode_control(written.getvalue()) == ControlEvent(ControlKind.UNKNOWN, "orders", 5)
