"""The process behind ``feed up``: holds the local regions until it is told to end. ``python -m feed.demo.keeper``."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from feed.demo.estate import Estate
from feed.demo.plan import DemoPlan, regions_of
from feed.demo.running import Running
from feed.run.process import configure_logging
from schemas.errors import FeedError

_log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Start, write the description, wait for SIGTERM or SIGINT, stop."""
    parser = argparse.ArgumentParser(prog="python -m feed.demo.keeper", description="Keeps the local regions running.")
    parser.add_argument("--regions", default="eu,us,ap")
    parser.add_argument("--no-delay", action="store_true")
    parser.add_argument("--replica-delay-ms", type=int, default=None)
    parser.add_argument("--data", type=Path, default=None)
    given = parser.parse_args(arguments)
    configure_logging("warning")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    plan = DemoPlan(
        regions=regions_of(given.regions),
        delay=not given.no_delay,
        replica_delay_ms=given.replica_delay_ms,
        data_dir=given.data,
    )
    running = Running.here()
    try:
        with running.hold():
            running.write_pid()
            _keep(plan, running, stop)
    except FeedError as error:
        _say(f"error {error}")
        _say(f"hint  {error.hint}")
        return 1
    return 0


def _keep(plan: DemoPlan, running: Running, stop: threading.Event) -> None:
    with Estate(plan, _say) as estate:
        if not stop.is_set():
            estate.start()
        if not stop.is_set():
            running.write(estate.description())
            _say("up")
        stop.wait()
        _say("stopping everything")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
