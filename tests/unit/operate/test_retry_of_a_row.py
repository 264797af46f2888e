"""A row's dead letter, tried again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from feed.operate.letters import Stored
from feed.operate.retry_change import change_of
from producers.snapshot.rows import RowContext, compose_rows
from producers.snapshot.scan import ScanPage
from producers.stream import FeedSource
from schemas import bundled
from schemas.change import Op
from schemas.codec import ChangeCodec
from schemas.errors import PoisonError
from schemas.headers import facts_of
from schemas.snapshot import Segment
from schemas.version import Version

CODEC = ChangeCodec.for_image(bundled.load("order"))
SOURCE = FeedSource("orders", "orders", "eu-west-1")
BROKEN = {"orderId": {"S": "o-1"}, "status": {"N": "5"}, "photo": {"B": b"\x00\xff"}}


def test_a_mended_row_keeps_its_place() -> None:
    """Same shard, ordinal and version: it overwrites nothing of its epoch; while it is broken it stays where it is."""
    context = RowContext(SOURCE, CODEC, ("orderId",), 10**6)
    segment = replace(Segment(3, 7), begun=True, ordinal=4)
    (letter,) = compose_rows(ScanPage((BROKEN,), None, 1.0), segment, context, at_ms=10, now_ms=20).dead
    key, value, headers, at_ms = letter
    stored = Stored(0, at_ms, key, value, tuple(headers))
    with pytest.raises(PoisonError):
        change_of(stored, SOURCE, CODEC)
    mended = value.replace(b'{"N":"5"}', b'{"S":"paid"}').replace(
        b'"photo"', b'"revision":{"N":"1"},"customerId":{"S":"c"},"currency":{"S":"EUR"},"lines":{"L":[]},'
        b'"createdAt":{"N":"1"},"updatedAt":{"N":"1"},"photo"'
    )  # fmt: skip
    sent_key, _, sent_headers, _ = change_of(replace(stored, value=mended), SOURCE, CODEC)
    facts = facts_of(sent_headers)
    assert sent_key == key == b"o-1"
    assert (facts.op, facts.shard, facts.ordinal, facts.version) == (Op.READ, "snapshot-7-3", 5, Version(7, 0))
