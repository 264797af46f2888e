"""``feed snapshot`` as a process that kills itself at a point: ``python snapshot_program.py feed.yaml POINT N``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from feed.cli.app import app
from producers.snapshot import run
from producers.snapshot.run import SnapshotRun

BEFORE_COMMIT, AFTER_COMMIT, BEFORE_MARKERS = "before commit", "after commit", "before the markers"


def lay(point: str, left: list[int]) -> None:
    """Have the process killed when it comes to ``point`` for the ``left[0]``-th time."""

    def come_by() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    rows, finish, publish = run.publish_rows, SnapshotRun._finish, SnapshotRun._publish

    def publish_rows(*arguments: Any) -> None:
        rows(*arguments)
        if point == BEFORE_COMMIT:
            come_by()

    def committed(self: SnapshotRun) -> None:
        publish(self)
        if point == AFTER_COMMIT:
            come_by()

    def complete(self: SnapshotRun) -> None:
        if point == BEFORE_MARKERS:
            come_by()
        finish(self)

    run.publish_rows = publish_rows
    SnapshotRun._publish, SnapshotRun._finish = committed, complete  # type: ignore[method-assign]


if __name__ == "__main__":
    lay(sys.argv[2], [int(sys.argv[3])])
    app(["snapshot", "-c", sys.argv[1], "--log-level", "info"])
