"""What every consumer can be told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.settings import Settings

Milliseconds = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=1)]


class RuntimeSettings(Settings):
    """How a consumer fetches, retries, commits and judges itself. Every bound of the runtime is here."""

    protocol: Literal["classic", "consumer"] = "classic"
    """Group protocol: ``classic``, or ``consumer`` (KIP-848: a dead member is noticed by the broker's own time-out)."""
    session_timeout_ms: Milliseconds = 10_000
    """How long a classic group waits for a silent member before others take its partitions."""
    static_member_id: str | None = None
    """Name of this member for static membership: a restart within the session keeps its partitions. One per process."""
    fetch_records: Annotated[int, Field(ge=1, le=10_000)] = 2_000
    """Most records taken from the client at once; the thread that calls the sink is woken once for them."""
    prefetch_records: Annotated[int, Field(ge=500)] = 40_000
    """Records that the client keeps ready ahead of the loop, over all partitions of the topic (beyond it, at most what
    one fetch of each partition brings). With small records this is what bounds the client's memory: one takes about 0.6
    KB beside its bytes."""
    prefetch_bytes: Annotated[int, Field(ge=1024 * 1024)] = 16 * 1024 * 1024
    """Bytes that the client keeps ready ahead of the loop, over all partitions: the bound with large records."""
    poll_interval_ms: Annotated[int, Field(ge=1, le=1_000)] = 100
    """Longest wait for records before timers (retries, ticks, commits) are looked at."""
    in_flight: Annotated[int, Field(ge=1, le=256)] = 1
    """Records handled at the same time, each of another key; 1: in line, on the loop's thread. Record sinks only."""
    commit_interval_ms: Milliseconds = 1_000
    """How often progress is committed; after a crash at most this much is seen again."""
    revoke_budget_ms: Milliseconds = 5_000
    """How long work in flight may take to finish when partitions are taken away or the process stops."""
    startup_budget_ms: Milliseconds = 30_000
    """How long the topic and the cluster may take to answer at the start."""
    assignment_bound_ms: Milliseconds = 10_000
    """How long one look-up of offsets may take when partitions are assigned; it is tried again after a back-off."""
    retry_base_ms: Milliseconds = 100
    """First back-off of a parked key or a batch that failed; it doubles."""
    retry_cap_ms: Milliseconds = 30_000
    """Longest back-off; tries never end."""
    outage_after: Count = 16
    """This many retryable failures with no success between are an outage: then one record is tried at a time."""
    max_held_records: Count = 5_000
    """Records of one partition in memory, not yet done, before it pauses (it goes on at half)."""
    max_held_bytes: Count = 16 * 1024 * 1024
    """Bytes of one partition in memory, not yet done, before it pauses."""
    max_parked_keys: Count = 500
    """Keys of one partition whose effect keeps failing before it pauses."""
    max_uncommitted_span: Count = 50_000
    """Offsets of one partition that would be read again after a crash before it pauses."""
    poison_window_ms: Milliseconds = 60_000
    """Window over which the share of poison is taken."""
    poison_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    """More poison than this share of a window's records stops the consumer."""
    poison_at_least: Count = 20
    """Fewer poison records than this in a window never stop it."""
    dead_letter_bound_ms: Milliseconds = 10_000
    """How long a dead letter may take to be acknowledged; then its key is parked and tried again."""
    replay_look_interval_ms: Milliseconds = 3_000
    """How often it is looked whether there is a replay for the group, and how far it is read."""
    replay_overdue_ms: Milliseconds = 600_000
    """A partition that lapsed waits for its replay; when that has not moved for so long, health is red."""
    sample_interval_ms: Milliseconds = 5_000
    """How often lag and progress are measured."""
    stall_after_ms: Milliseconds = 60_000
    """A partition with lag and no commit for so long makes health red. Above the longest time a batch stays open."""
