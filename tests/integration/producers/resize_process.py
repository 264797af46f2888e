"""A resize of slots as a process that kills itself at a named point: ``resize_process.py FEED.yaml SLOTS POINT``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from connectors.kafka import KafkaClients
from feed.config import load_config
from feed.operate.resize import resize_slots
from producers.stream.kafka_log import KafkaSlotLog
from producers.stream.resize import Resize

POINTS: dict[str, tuple[type, str, bool]] = {
    "before the first slot": (Resize, "seal", False),
    "between two slots": (Resize, "seal_slot", True),
    "all slots sealed": (Resize, "seal", True),
    "before the copy": (Resize, "copy", False),
    "copied": (Resize, "copy", True),
}
"""A method, and whether the blow falls before or after its work."""

BEFORE_COMMIT = "before the copy's commit"
*_SOME, _LAST = POINTS
ALL_POINTS = (*_SOME, BEFORE_COMMIT, _LAST)
"""In the order in which a resize comes to them."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str) -> None:
    """Have this process die at the point."""
    if point == BEFORE_COMMIT:
        commit = KafkaSlotLog.commit

        def commit_or_die(self: KafkaSlotLog) -> None:
            if self._slot < 0:  # the copy's own producer has no slot
                self._producer.flush(5)
                die()
            commit(self)

        KafkaSlotLog.commit = commit_or_die  # type: ignore[method-assign]  # that is what arming means
        return
    owner, name, after = POINTS[point]
    original = getattr(owner, name)

    def method(self: Any, *arguments: Any) -> Any:
        if not after:
            die()
        original(self, *arguments)
        die()

    setattr(owner, name, method)


def main() -> None:
    file, slots, point = sys.argv[1:]
    arm(point)
    config = load_config(Path(file))
    resize_slots(config, KafkaClients(config.source.kafka, client_id="resize"), int(slots))


if __name__ == "__main__":
    main()
