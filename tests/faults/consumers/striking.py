"""The faults that a member may suffer, each with the evidence that it really struck."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress

from feed.testing import until
from tests.faults.consumers.group_bench import GroupBench
from tests.faults.consumers.orders_topic import PARTITIONS

RECORD_POINTS = ("before-effect", "after-effect", "while-parked", "in-revoke", "settled-not-committed")
BATCH_POINTS = ("before-effect", "after-effect", "while-away", "in-revoke", "in-flush", "settled-not-committed")
OUTSIDE = ("kill", "freeze", "stop")
WHILE_TAKEN_AWAY = frozenset({"in-revoke", "in-flush", "settled-not-committed"})

KINDS = {
    "warehouse": (*RECORD_POINTS, *OUTSIDE),
    "notification": (*RECORD_POINTS, *OUTSIDE),
    "audit": (*BATCH_POINTS, *OUTSIDE),
    "archive": (*BATCH_POINTS, *OUTSIDE),
    "analytics": (*BATCH_POINTS, *OUTSIDE),
}
"""What each group's members may suffer. *in-flush* lies inside a revoke; *while-away* is a batch's way of parking."""

EFFECTS_BEFORE = 60
"""A member dies around one of its first so many effects; batches are fewer than records."""

BATCHES_BEFORE = 4

REVOKES = 4
REVOKE_WITHIN_S = 20.0


def strike(group: GroupBench, kind: str, name: str) -> None:
    """Let a member suffer the fault. Returns when it has struck and all members run again."""
    outside: dict[str, Callable[[GroupBench, str], None]] = {"kill": kill, "freeze": freeze, "stop": stop}
    if kind in outside:
        outside[kind](group, name)
    else:
        die_at(group, kind, name)


def kill(group: GroupBench, name: str) -> None:
    """-9 from outside, wherever the member is."""
    program = group.members[name]
    process = program._process
    assert process is not None
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    program.kill()
    group.member(name)


def freeze(group: GroupBench, name: str) -> None:
    """Frozen until the group has gone on without it, then awake again, the same process."""
    program = group.members[name]
    pid, members = program.pid, len(group.members)
    program.pause()
    group.shared(members - 1)
    program.resume()
    group.shared(members)
    assert program.pid == pid, "the frozen member gave up"


def stop(group: GroupBench, name: str) -> None:
    """SIGTERM, answered in order."""
    group.stop(name)
    group.member(name)


def die_at(group: GroupBench, point: str, name: str) -> None:
    """Start the member anew so that it dies at the point."""
    group.stop(name)
    group.witness(name).unlink(missing_ok=True)
    around_effect = point.endswith("effect")
    most = BATCHES_BEFORE if "while-away" in KINDS[group.effects.sink] else EFFECTS_BEFORE
    group.member(name, point, after=random.randint(1, most) if around_effect else 1)
    if point in WHILE_TAKEN_AWAY:
        die_while_taken_away(group, point, name)
    until(lambda: group.struck(name, point), f"the death of {name} of {group.name} at {point}")
    group.member(name)


def die_while_taken_away(group: GroupBench, point: str, name: str) -> None:
    """Take partitions away until the member dies of it: a flush that finds nothing to store does not pass the point."""
    for _ in range(REVOKES):
        force_a_revoke(group, name)
        with suppress(AssertionError):
            until(lambda: group.struck(name, point), "its death", within_s=REVOKE_WITHIN_S)
            return


def force_a_revoke(group: GroupBench, name: str) -> None:
    """While the others are away this one has every partition; some are taken away when they return."""
    others = [other for other in group.members if other != name]
    group.stop(*others)
    until(lambda: group.takes(name) == PARTITIONS, f"{name} of {group.name} to work on every partition")
    for other in others:
        group.member(other)
