"""Settings of the archive."""

from __future__ import annotations

from pydantic import Field

from schemas.settings import Settings


class ArchiveSettings(Settings):
    """The archive: every change for 90 days, by event time, for replay."""

    bucket: str
    """S3 bucket of the archive."""
    prefix: str = "archive"
    """First part of every name in the bucket."""
    expire_days: int = Field(default=90, ge=1)
    """Objects expire so many days after they were written, by the bucket's lifecycle."""
    grace_ms: int = Field(default=10_000, ge=0)
    """A minute is closed when a record this much later than its end has come: what comes later still goes to an
    object of
    its own, in its true minute."""
    open_ms: int = Field(default=75_000, ge=100)
    """A minute is closed this long after its first record arrived, whatever time the records have reached. Longer
    than a
    minute and its grace, so that a steady flow makes one object a minute and partition."""
    object_bytes: int = Field(default=8 * 1024 * 1024, ge=4_096)
    """A minute that takes this much memory is closed; it goes on in another object."""
    memory_bytes: int = Field(default=40 * 1024 * 1024, ge=1024 * 1024)
    """Bound for all open minutes of all partitions together: above it the largest is closed early."""
    index_after_ms: int = Field(default=600_000, ge=0)
    """The index of an hour is written this long after the hour's end; what comes later is listed beside it, and indexed
    again. Without indexes a search opens every object of its range."""
    parallel_uploads: int = Field(default=4, ge=1, le=64)
    """Objects that are uploaded at once."""
