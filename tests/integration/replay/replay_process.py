"""``feed replay`` as a process that dies with -9 at a named point: ``python -m …replay_process '{"file": …}'``."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from feed.config import load_config
from feed.replay import Range, Replayer, request_of


class Dying:
    """Kills this process when the point comes by for the n-th time."""

    def __init__(self, point: str, times: int) -> None:
        self._point, self._left = point, times

    def __call__(self, point: str) -> None:
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    told = json.loads(sys.argv[1])
    config = load_config(Path(told["file"]))
    replayer = Replayer(
        request_of(config, "warehouse"),
        config.replay,
        progress=lambda what, done, total: None,
        at=Dying(told["point"], told["times"]),
    )
    words = told["words"]
    if words == ["--resume"]:
        replayer.send(Range(), resume=True)
    else:
        replayer.send(Range(int(words[0]), int(words[1])))


if __name__ == "__main__":
    main()
