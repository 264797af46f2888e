"""The law of the envelope: what is written of its parts are the bytes that fastavro writes for the whole schema."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from schemas import bundled
from schemas.change import Change, Op, Source
from schemas.codec import ChangeCodec
from schemas.compose import for_python
from schemas.envelope import long_bytes, text_bytes
from schemas.errors import PoisonError
from schemas.framing import SingleObject, prefix_of
from schemas.version import Version

IMAGE = bundled.load("order")
CODEC = ChangeCodec.for_image(IMAGE)
WHOLE = parse_schema(for_python(CODEC.schema), named_schemas={}, expand=False)

longs = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)
numbers = st.integers(0, 10**40 - 1)
sources = st.builds(
    Source, texts, texts, texts, texts, numbers, st.integers(-1, 2**63 - 1), texts, st.booleans(), st.none() | texts
)


def by_fastavro(schema: Any, value: Any) -> bytes:
    out = BytesIO()
    schemaless_writer(out, schema, value)
    return out.getvalue()


@given(longs)
def test_a_long_is_written_as_fastavro_writes_it(number: int) -> None:
    """Every 64-bit number has fastavro's bytes."""
    assert long_bytes(number) == by_fastavro(parse_schema("long"), number)


@given(texts)
def test_a_text_is_written_as_fastavro_writes_it(text: str) -> None:
    """Every text has fastavro's bytes."""
    assert text_bytes(text) == by_fastavro(parse_schema("string"), text)


@given(sources, st.sampled_from(Op), texts, st.integers(0, 2**31), numbers, longs, longs, st.booleans())
def test_a_change_is_written_as_fastavro_writes_its_whole_record(
    source: Source, op: Op, key: str, epoch: int, sequence: int, occurred: int, captured: int, own: bool
) -> None:
    """Whatever stands in the envelope, the value is fastavro's for the schema that readers have."""
    version = Version(epoch, source.sequence if own else sequence)
    change = Change(op, {"orderId": {"S": key}}, None, None, source, version, occurred, captured)
    framed = prefix_of(SingleObject(), CODEC.schema) + by_fastavro(WHOLE, CODEC._to_record(change))
    assert CODEC.encode(change) == framed


def test_images_follow_the_envelope(change_of: Callable[..., Change]) -> None:
    """With both images, one, or none, the value is fastavro's, and it reads back."""
    for parts in ({}, {"before": None}, {"after": None}, {"before": None, "after": None}):
        change = change_of(**parts)
        framed = prefix_of(SingleObject(), CODEC.schema) + by_fastavro(WHOLE, CODEC._to_record(change))
        assert CODEC.encode(change) == framed
        assert CODEC.decode(framed) == change


def test_what_is_no_unicode_is_poison(change_of: Callable[..., Change]) -> None:
    """A lone surrogate in a key is refused by a sentence, not by a crash."""
    with pytest.raises(PoisonError, match="does not fit its schema"):
        CODEC.encode(change_of(key={"orderId": {"S": "\ud800"}}))
