"""Health means progress: a slot that is assigned runs, a shard that is open answers, discovery completes."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.telemetry import Telemetry
from producers.stream.discovery import Discovery
from producers.stream.environment import Environment
from producers.stream.owner import OwnerState, SlotOwner
from producers.stream.slot import Slot


def judge(
    telemetry: Telemetry,
    environment: Environment,
    *,
    owners: Mapping[int, SlotOwner],
    discovery: Discovery,
    started_ms: int,
) -> None:
    """Set the checks and gauges of a worker; called about once a second."""
    now, red_ms = environment.clock.steady_ms(), environment.settings.slot_red_after_ms
    slow = [
        number
        for number, owner in owners.items()
        if owner.stalled_since_ms is not None and now - owner.stalled_since_ms > red_ms
    ]
    telemetry.health.set("slots", ok=not slow, reason=f"assigned but not running: {sorted(slow)}" if slow else "")
    stuck: list[str] = []
    open_shards = 0
    for owner in owners.values():
        if (slot := owner.slot) is not None:
            stuck += _stuck(slot, now, red_ms)
            open_shards += len(slot.readers)
            _behind(slot, environment)
    telemetry.health.set("shards", ok=not stuck, reason=f"no answer for {red_ms // 1_000} s: {stuck}" if stuck else "")
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
    ready = len(running) == len(owners) and environment.view.baseline is not None
    telemetry.readiness.set("slots", ok=ready, reason=f"running: {sorted(running)} of {sorted(owners)}")
    environment.metrics.running(len(running), open_shards)


def _stuck(slot: Slot, now: int, red_ms: int) -> list[str]:
    """Shards without an answer, and slots that hold pages but commit nothing."""
    stuck = [reader.shard for reader in list(slot.readers.values()) if reader.stuck(now, red_ms)]
    if slot.unpublished_since_ms is not None and now - slot.unpublished_since_ms > red_ms:
        stuck.append(f"slot {slot.number} holds pages and commits nothing")
    return stuck


def _behind(slot: Slot, environment: Environment) -> None:
    now_ms = environment.clock.now_ms()
    for reader in list(slot.readers.values()):
        newest_ms = reader.newest_ms
        environment.metrics.behind(reader.shard, 0.0 if newest_ms is None else max(0, now_ms - newest_ms) / 1_000)
