"""How a first load or a reload works: what may be tuned, with safe defaults."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.settings import Settings

READ_UNITS_PER_SECOND = 500
"""Default rate of a scan: 500 strongly consistent read units are 2 MB/s, 7 GB an hour."""


class SnapshotSettings(Settings):
    """A first load of the table, or a reload after a gap (``feed snapshot``)."""

    segments: Annotated[int, Field(ge=1, le=1_000)] = 4
    """Parts of the table that are scanned side by side. A snapshot that is under way keeps the number that it began
    with."""
    read_units_per_second: Annotated[int, Field(ge=1)] = READ_UNITS_PER_SECOND
    """Read capacity that the scan may use, over all segments; a strongly consistent read of 4 KB is one unit."""
    page_items: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Items that are evaluated for one page at most (a page is never more than 1 MB). One page of each segment is in
    memory."""
    batch_max_rows: Annotated[int, Field(ge=1)] = 4_000
    """Rows after which a transaction takes no further page."""
    slots_timeout_ms: Annotated[int, Field(ge=1)] = 300_000
    """How long to wait for all slots to publish under the new epoch before giving up; the request stays, so that the
    next run goes on."""
    takeover_after_ms: Annotated[int, Field(ge=1_000)] = 60_000
    """With ``producer.gap_policy: resnapshot``: a scan that wrote nothing for so long is taken over by the worker that
    owns slot 0."""
    retry_max_ms: Annotated[int, Field(ge=100)] = 30_000
    """Longest pause before a page that DynamoDB refused is asked for again, or Kafka is tried anew."""
