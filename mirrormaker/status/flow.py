"""What MirrorMaker writes about itself, read as values: states of its tasks, and how far each partition was copied."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

_STATUS_KEY = re.compile(r"status-(connector|task)-(.+?)(?:-(\d+))?$")
MAX_TRACE_CHARS = 300


@dataclass(frozen=True)
class TaskState:
    """A connector (``task`` is None) or one of its tasks.

    Attributes:
        connector: its name.
        task: number of the task.
        state: RUNNING, PAUSED, FAILED, UNASSIGNED …
        worker: which worker runs it.
        trace: the beginning of why it failed.
    """

    connector: str
    task: int | None
    state: str
    worker: str
    trace: str = ""

    @property
    def copies(self) -> bool:
        """It is a task that copies records (its connector's name says so in every form that we render)."""
        return self.task is not None and ("Source" in self.connector or self.connector.endswith("-source"))

    @property
    def described(self) -> str:
        """One sentence."""
        which = self.connector if self.task is None else f"{self.connector} task {self.task}"
        return f"{which} is {self.state}. {self.trace}".rstrip()

    @property
    def at_work(self) -> bool:
        """It does what it is for."""
        return self.state == "RUNNING"


@dataclass(frozen=True)
class PartitionState:
    """How far a partition was copied.

    Attributes:
        topic: the topic.
        partition: its number.
        copied_to: offset in the source of the last copied record; None: nothing was copied yet.
        source_end: the source's next offset.
        waits: whether a committed record of the source waits for its copy.
        waiting_ms: for how long the oldest such record has waited, from its capture (or its timestamp).
    """

    topic: str
    partition: int
    copied_to: int | None
    source_end: int
    waits: bool
    waiting_ms: int

    @property
    def lag_at_most(self) -> int:
        """Records that wait, at most: each transaction of the source takes one offset more than it has records."""
        if not self.waits:
            return 0
        return self.source_end - (self.copied_to + 1 if self.copied_to is not None else 0)


@dataclass(frozen=True)
class FlowStatus:
    """A flow as it is now."""

    flow: str
    tasks: tuple[TaskState, ...]
    partitions: tuple[PartitionState, ...]

    def faults(self, *, stall_after_ms: int) -> tuple[str, ...]:
        """What is not as it should be, a sentence each."""
        found = [f"{self.flow}: {task.described}" for task in self.tasks if not task.at_work]
        if not any(task.copies for task in self.tasks):
            found.append(f"{self.flow}: no copying task was ever started.")
        found += [
            f"{self.flow}: {one.topic}/{one.partition} waits for {one.waiting_ms / 1000:.0f} s at offset "
            f"{one.copied_to}."
            for one in self.partitions
            if one.waits and one.waiting_ms > stall_after_ms
        ]
        return tuple(found)


def task_states(records: Mapping[bytes, bytes | None]) -> tuple[TaskState, ...]:
    """States from Connect's status topic; what it no longer has is gone."""
    found = []
    for key, value in records.items():
        match = _STATUS_KEY.match(key.decode("utf-8", "replace"))
        document = _document(value)
        if match is None or document is None:
            continue
        is_task = match[1] == "task"
        name = match[2] if is_task or match[3] is None else f"{match[2]}-{match[3]}"
        found.append(
            TaskState(
                connector=name,
                task=int(match[3]) if is_task and match[3] is not None else None,
                state=str(document.get("state", "UNKNOWN")),
                worker=str(document.get("worker_id", "")),
                trace=str(document.get("trace") or "").split("\n", 1)[0][:MAX_TRACE_CHARS],
            )
        )
    alive = [task for task in found if task.state != "DESTROYED"]
    return tuple(sorted(alive, key=lambda task: (task.connector, -1 if task.task is None else task.task)))


def copied_offsets(records: Mapping[bytes, bytes | None], connector: str) -> dict[tuple[str, int], int]:
    """Topic and partition → offset of the last copied record, from Connect's offsets topic."""
    found = {}
    for key, value in records.items():
        try:
            name, partition = json.loads(key)
        except (ValueError, TypeError):
            continue
        document = _document(value)
        if name != connector or document is None or not isinstance(partition, dict):
            continue
        if {"topic", "partition"} <= partition.keys() and "offset" in document:
            found[str(partition["topic"]), int(partition["partition"])] = int(str(document["offset"]))
    return found


def _document(value: bytes | None) -> dict[str, object] | None:
    try:
        document = json.loads(value) if value else None
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
