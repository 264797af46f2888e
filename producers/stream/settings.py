"""How the stream producer works: what may be tuned, with safe defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from connectors.dynamodb_streams import DESCRIBE_LIMIT_PER_SECOND, PollPolicy
from connectors.kafka import SESSION_TIMEOUT_MS, TRANSACTION_TIMEOUT_MS, GroupProtocol
from producers.stream.filter_settings import FilterSettings
from schemas.settings import Settings

Positive = Annotated[int, Field(gt=0)]


class ProducerSettings(Settings):
    """The stream producer."""

    start: Literal["trim_horizon", "latest"] = "trim_horizon"
    """Where the very first start begins: with everything the stream still has, or with what is new. Recorded once, in
    the baseline; changing it later has no effect."""
    gap_policy: Literal["fail", "resnapshot", "continue"] = "fail"
    """After a gap event: stop for a person (the gap stays held until a start with another policy); go on behind it and
    load the table anew, so that consumers converge to its state; or just go on behind it."""
    filter: FilterSettings = FilterSettings()
    """What is left out at the source."""
    batch_interval_ms: Positive = 100
    """Shortest time between two commits of a slot at the tip of its shards, and about the longest that a transaction
    gathers records. A backlog is committed as fast as it is read."""
    batch_max_records: Positive = 4_000
    """Records after which a transaction is committed before its time."""
    batch_max_bytes: Positive = 8 * 1024 * 1024
    """Bytes of stream pages after which a transaction is committed before its time."""
    read_ahead_max_bytes: Positive = 4 * 1024 * 1024
    """Bytes of stream pages that one slot may hold unpublished: beyond it, it stops reading. One page of each shard
    that is being read comes on top."""
    poll_interval_ms: Positive = 250
    """Pause between two reads of a shard at its tip."""
    idle_poll_max_ms: Positive = 1_000
    """Longest pause between two reads of an idle shard, unless ``idle_calls_per_second`` asks for longer ones."""
    idle_calls_per_second: Positive = 100
    """Reads a second that one worker spends on idle shards in all; with more of them the pauses grow."""
    fetch_threads: Annotated[int, Field(gt=0, le=60)] = 16
    """Reads that one worker has under way at once."""
    discovery_interval_ms: Positive = 60_000
    """Time between two complete listings of the stream's shards (with 10 % jitter); an ended shard is followed up at
    once."""
    describe_calls_per_second: Annotated[float, Field(gt=0, le=DESCRIBE_LIMIT_PER_SECOND)] = 8.0
    """DescribeStream calls of all workers of this feed together; they take turns by their slots. AWS allows 10 an
    account and region: where many feeds list thousands of shards, share them out."""
    absence_min_ms: Positive = 60_000
    """A shard is unlisted only when complete listings at least this far apart lack it."""
    refused_max_ms: Positive = 600_000
    """A shard that is listed, yet refused without a break for this long, is a gap too."""
    retention_ms: Positive = 24 * 3_600_000
    """How long the stream keeps a record (24 hours on AWS)."""
    transaction_timeout_ms: Annotated[int, Field(ge=2_000, le=900_000)] = TRANSACTION_TIMEOUT_MS
    """How long a dead worker's open transaction may hold readers back, if no new owner fences it before."""
    init_timeout_ms: Positive = 30_000
    """How long taking a slot may wait for Kafka before it is tried anew."""
    commit_timeout_ms: Positive = 15_000
    """How long one commit call may take; a call that timed out is repeated until Kafka decides."""
    retake_min_ms: Positive = 100
    """First pause before a lost slot that is still assigned to this worker is taken again; doubles with each loss."""
    retake_max_ms: Positive = 5_000
    """Longest such pause."""
    group_protocol: GroupProtocol = "classic"
    """How workers share slots: ``classic`` (cooperative-sticky), or ``consumer`` (KIP-848), where a dead worker is
    noticed after the broker's own ``group.consumer.session.timeout.ms`` (45 s by default)."""
    session_timeout_ms: Positive = SESSION_TIMEOUT_MS
    """How fast the group notices a dead worker, with the classic protocol."""
    slot_red_after_ms: Positive = 30_000
    """A slot that is assigned but has not run for this long makes health red; so does a shard that answers nothing but
    errors."""
    stop_timeout_ms: Positive = 2_000
    """How long a slot may take to stop and abort when it is revoked or the worker ends."""

    def poll_policy(self) -> PollPolicy:
        """The bounds of polling one shard."""
        return PollPolicy(interval_ms=self.poll_interval_ms, idle_max_ms=self.idle_poll_max_ms)
