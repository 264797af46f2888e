"""The workload as a process of its own, so that its CPU is counted apart: ``python -m feed.workload FILE``.

The file holds one JSON object (the table, the settings, the ledger's path). Writes one JSON object a second to standard
output, and ends with status 0 when the plan was done or SIGTERM/SIGINT asked it to stop.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import orjson

from feed.workload.run import Progress, Table, Workload, progress_to_dict
from feed.workload.settings import WorkloadSettings
from schemas.errors import FeedError


def main(file: Path) -> int:
    """Run as the file says; the exit status is 1 when the workload failed."""
    order: dict[str, Any] = orjson.loads(file.read_bytes())
    settings = WorkloadSettings.model_validate(order["settings"])
    workload = Workload(settings, Table(**order["table"]), Path(order["ledger"]))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: workload.stop())
    try:
        _say(workload.run(_say))
    except FeedError as error:
        sys.stderr.write(f"{error}\nhint: {error.hint}\n")
        return 1
    return 0


def _say(progress: Progress) -> None:
    sys.stdout.buffer.write(orjson.dumps(progress_to_dict(progress), option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
