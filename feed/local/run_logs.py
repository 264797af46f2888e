"""A folder of logs for each run, and only the last few of them kept."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

KEPT_RUNS = 10
KEPT_AT_LEAST_S = 24 * 3600


def new_log_dir(root: Path) -> Path:
    """A new folder for this run's logs; of the older ones, all but ten go, unless they are less than a day old."""
    root.mkdir(parents=True, exist_ok=True)
    runs = sorted((run for run in root.iterdir() if run.is_dir()), key=lambda run: run.stat().st_mtime)
    for run in runs[: -KEPT_RUNS + 1]:
        if time.time() - run.stat().st_mtime > KEPT_AT_LEAST_S:
            shutil.rmtree(run, ignore_errors=True)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    folder = root / f"{stamp}-{os.getpid()}-{time.monotonic_ns() % 1_000_000:06d}"
    folder.mkdir()
    return folder
