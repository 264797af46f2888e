"""Settings of the analytics sink."""

from __future__ import annotations

from pydantic import Field

from schemas.settings import Settings


class AnalyticsSettings(Settings):
    """The data warehouse's copy of the table: its current state and its history, loaded in batches."""

    bucket: str
    """S3 bucket where files are staged for the warehouse, in the warehouse's region."""
    prefix: str = "analytics"
    """First part of every name in the bucket."""
    expire_days: int = Field(default=14, ge=1)
    """Staged files expire so many days after they were written; a load is retried within minutes, never after days."""
    warehouse_schema: str = Field(default="public", pattern=r"^[a-z_][a-z0-9_]*$")
    """Schema of the tables in the warehouse."""
    table: str = Field(default="orders", pattern=r"^[a-z_][a-z0-9_]*$")
    """Name of the view of living items; the tables are this with `_current` and `_history` behind it."""
    interval_ms: int = Field(default=300_000, ge=100)
    """How long records gather before they are loaded: reports are as old as this and the load. Each load is one
    transaction for all partitions, whatever their number."""
    load_records: int = Field(default=200_000, ge=1)
    """A load is started early when so many records have gathered."""
    memory_bytes: int = Field(default=192 * 1024 * 1024, ge=1024 * 1024)
    """Bound for all records that wait for a load; above it the consumer waits for the load under way."""
    max_refusals: int = Field(default=8, ge=1)
    """How often in a row the warehouse may refuse a load before the consumer stops with the warehouse's own words."""
    parallel_uploads: int = Field(default=8, ge=1, le=64)
    """Staged files that are uploaded at once."""
