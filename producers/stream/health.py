"""Health means progress: a slot that is assigned runs, a shard that is open answers, discovery completes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from connectors.telemetry import Telemetry, TelemetryPart
from producers.stream.discovery import Discovery
from producers.stream.environment import Environment
from producers.stream.owner import OwnerState, SlotOwner
from producers.stream.slot import Slot


class Progress:
    """Since when each shard's position stands still; the memory of :func:`judge`."""

    def __init__(self) -> None:
        self._stands: dict[str, tuple[int | None, int]] = {}

    def standing(self, slot: Slot, now: int, red_ms: int) -> list[str]:
        """Shards that hand out data, whose positions have not moved for so long."""
        found = []
        for reader in list(slot.readers.values()):
            position = slot.positions.get(reader.shard)
            sequence = position.sequence if position is not None else None
            before, since_ms = self._stands.get(reader.shard, (None, now))
            # at its tip a shard has nothing more to give: standing still is right
            if reader.newest_ms is None or before != sequence:
                since_ms = now
            self._stands[reader.shard] = (sequence, since_ms)
            if now - since_ms > red_ms:
                found.append(reader.shard)
        return found

    def keep(self, shards: Collection[str]) -> None:
        """Forget all others."""
        self._stands = {shard: stands for shard, stands in self._stands.items() if shard in shards}


def judge(
    telemetry: Telemetry | TelemetryPart,
    environment: Environment,
    *,
    owners: Mapping[int, SlotOwner],
    discovery: Discovery,
    started_ms: int,
    joined: bool,
    progress: Progress,
) -> None:
    """Set the checks and gauges of a worker; called about once a second.

    ``joined``: the group has said which slots are this worker's, be it none.
    """
    now, red_ms = environment.clock.steady_ms(), environment.settings.slot_red_after_ms
    slow = [
        number
        for number, owner in owners.items()
        if owner.stalled_since_ms is not None and now - owner.stalled_since_ms > red_ms
    ]
    telemetry.health.set("slots", ok=not slow, reason=f"assigned but not running: {sorted(slow)}" if slow else "")
    stuck: list[str] = []
    standing: list[str] = []
    ages_s: dict[tuple[int, str], float] = {}
    for owner in owners.values():
        if (slot := owner.slot) is not None:
            stuck += _stuck(slot, now, red_ms)
            standing += progress.standing(slot, now, red_ms)
            ages_s |= _ages_s(slot, environment.clock.now_ms())
    progress.keep({shard for _, shard in ages_s})
    telemetry.health.set("shards", ok=not stuck, reason=f"no answer for {red_ms // 1_000} s: {stuck}" if stuck else "")
    said = f"data, but no progress for {red_ms // 1_000} s: {standing}" if standing else ""
    telemetry.health.set("progress", ok=not standing, reason=said)
    listed_ms = discovery.completed_ms if discovery.completed_ms is not None else started_ms
    late = now - listed_ms > 3 * environment.settings.discovery_interval_ms
    telemetry.health.set(
        "discovery", ok=not late, reason=str(discovery.last_error or "no complete listing") if late else ""
    )
    status = environment.view.status
    disabled = status is not None and not status.enabled
    telemetry.health.set("stream", ok=not disabled, reason=f"{status.arn} is disabled" if status and disabled else "")
    running = [number for number, owner in owners.items() if owner.state is OwnerState.RUNNING]
    # a worker beyond the number of slots is a spare: ready to take over, and never assigned
    ready = joined and len(running) == len(owners) and environment.view.baseline is not None
    said = f"running: {sorted(running)} of {sorted(owners)}" if joined else "no slot is assigned yet"
    telemetry.readiness.set("slots", ok=ready, reason=said)
    environment.metrics.running(len(running), len(ages_s))
    environment.metrics.behind(ages_s)


def _stuck(slot: Slot, now: int, red_ms: int) -> list[str]:
    """Shards without an answer, and slots that hold pages but commit nothing."""
    stuck = [reader.shard for reader in list(slot.readers.values()) if reader.stuck(now, red_ms)]
    if slot.unpublished_since_ms is not None and now - slot.unpublished_since_ms > red_ms:
        stuck.append(f"slot {slot.number} holds pages and commits nothing")
    return stuck


def _ages_s(slot: Slot, now_ms: int) -> dict[tuple[int, str], float]:
    """Age of the last record read of each shard that is read; 0 at its tip."""
    return {
        (slot.number, reader.shard): 0.0 if reader.newest_ms is None else max(0, now_ms - reader.newest_ms) / 1_000
        for reader in list(slot.readers.values())
    }
