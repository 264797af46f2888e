"""Settings of the audit log."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from schemas.settings import Settings


class AuditSettings(Settings):
    """The audit log: every change, kept immutably, in segments that are chained by hash."""

    bucket: str
    """S3 bucket with Object Lock (`feed` creates it so); nothing else should write to it."""
    prefix: str = "audit"
    """First part of every name in the bucket."""
    segment_ms: int = Field(default=5_000, ge=100)
    """A segment is closed this long after its first record arrived: how late a change can enter the log, and how many
    PUTs that costs."""
    segment_bytes: int = Field(default=8 * 1024 * 1024, ge=4_096)
    """A segment is closed at this size in memory, however young it is."""
    memory_bytes: int = Field(default=40 * 1024 * 1024, ge=1024 * 1024)
    """Bound for all open segments together: above it the largest is closed early."""
    retention_days: int = Field(default=7 * 365, ge=1)
    """How long Object Lock keeps every segment from its writing on, in COMPLIANCE mode: nobody can shorten it, the
    account's root included."""
    digest_interval_ms: int = Field(default=300_000, ge=1_000)
    """How often the heads of all chains are signed and numbered, also when nothing happens."""
    signing_key_file: Path | None = None
    """PEM file with the EC private key (P-256) that signs digests; for regions without KMS. It is made when absent."""
    signing_kms_key: str | None = None
    """Id or ARN of the asymmetric KMS key (ECC_NIST_P256) that signs digests; this or `signing_key_file`; without
    either there are no digests."""
    anchor_table: str | None = None
    """DynamoDB table, best of another account, in which the last digest is noted; partition key `log`. Without it a cut
    tail of the log is not seen."""
    parallel_uploads: int = Field(default=4, ge=1, le=64)
    """Segments of different partitions that are uploaded at once."""
