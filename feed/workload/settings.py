"""What an order service does in a run, and how hard."""

from __future__ import annotations

from pydantic import Field

from schemas.settings import Settings


class WorkloadSettings(Settings):
    """The workload of ``feed demo``: rate, length, and how often each kind of thing happens."""

    rate_per_s: int = Field(default=400, ge=1, le=20_000)
    """Writes a second, no-op writes included, over all lanes together."""
    seconds: float = Field(default=60, gt=0)
    """How long to write."""
    lanes: int = Field(default=8, ge=1, le=64)
    """Connections that write at once; an order belongs to one lane, so its writes never overlap."""
    seed: int = 1
    """The same seed writes the same orders."""
    pause_ms: int = Field(default=900, ge=0)
    """Mean pause between two steps of one order's life."""
    cancel_share: float = Field(default=0.08, ge=0, le=1)
    """Orders that end cancelled, after any step before shipping."""
    delete_share: float = Field(default=0.08, ge=0, le=1)
    """Orders that are deleted after their last status; a quarter of those come back as a new item with the same key."""
    burst_share: float = Field(default=0.06, ge=0, le=1)
    """Steps that become a burst: three changes of one order, A→B→C, back to back."""
    noop_share: float = Field(default=0.02, ge=0, le=1)
    """Writes that repeat the item exactly as it stands; the stream has no record of them."""
    hot_share: float = Field(default=0.03, ge=0, le=1)
    """Writes that go to the one very hot order of their lane."""
    call_timeout_ms: int = Field(default=5_000, ge=100)
    """Bound of one call; after it the outcome is unknown and is read back."""
    settle_timeout_ms: int = Field(default=60_000, ge=1_000)
    """How long the truth of a lost answer is looked for before the workload gives up on it and ends with an error."""
