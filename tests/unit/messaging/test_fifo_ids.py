"""Ids that FIFO queues take."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from connectors.messaging.messages import fifo_id


@given(st.text(min_size=1))
def test_every_key_becomes_an_id_that_a_queue_takes(text: str) -> None:
    """Any key, of any length and script, becomes 1 to 128 characters of printable ASCII, the same each time."""
    assert re.fullmatch(r"[!-~]{1,128}", fifo_id(text))
    assert fifo_id(text) == fifo_id(text)


def test_what_fits_stays_readable() -> None:
    """An event id fits as it is."""
    event_id = "shardId-00000001414576573621-f55eea83:0000000000000000000000000000000012345678"
    assert fifo_id(event_id) == event_id
