"""Up to which live offset a replay vouches for what retention deleted."""

from __future__ import annotations

import pytest

from feed.replay.live import LivePartition, older_below

LIVE = LivePartition(number=0, low=100, end=160, committed=40)
EMPTY = LivePartition(number=0, low=100, end=100, committed=40)


@pytest.mark.parametrize(
    "live, found, all_older, below",
    [
        (LIVE, 130, False, 130),  # what is left shows where the time lies
        (LIVE, 170, False, 160),  # no further than was looked
        (LIVE, -1, False, 160),  # all that is left is older, so what came before it is
        (LIVE, 100, False, 99),  # nothing that is left is older: what was deleted may be younger, too
        (EMPTY, -1, False, 99),  # nothing is left that could tell
        (EMPTY, -1, True, 100),  # but the time is later than anything that was there
    ],
)
def test_what_was_deleted_is_vouched_for_only_where_that_is_known(
    live: LivePartition, found: int, all_older: bool, below: int
) -> None:
    """A replay that ends before what is left begins must not pass for whole: its consumer would skip changes."""
    assert older_below(live, found, all_older=all_older) == below
