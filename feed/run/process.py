"""What every long-running process of the feed has in common: signals, logs, telemetry, an exit code."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from connectors.telemetry import Telemetry
from feed.config.models import TelemetrySettings

_log = logging.getLogger(__name__)

LOG_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s"


def now_ms() -> int:
    """The wall clock, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Process:
    """A running process: its name, what it says about itself, and the event that asks it to stop."""

    name: str
    telemetry: Telemetry
    stop: threading.Event = field(default_factory=threading.Event)
    clock_ms: Callable[[], int] = now_ms


def configure_logging(level: str) -> None:
    """One line a record on standard error, times in UTC; the libraries below us are quiet unless something is wrong."""
    formatter = logging.Formatter(LOG_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("botocore", "boto3", "urllib3", "httpx", "httpcore", "s3transfer"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@contextmanager
def process(name: str, settings: TelemetrySettings, *, port: int | None, log_level: str) -> Iterator[Process]:
    """Set up a process; SIGTERM and SIGINT set its stop event, and its port is closed at the end."""
    configure_logging(log_level)
    running = Process(name, Telemetry(name))

    def ask_to_stop(number: int, _frame: FrameType | None) -> None:
        # A second signal finds the default action again: someone who asks twice wants it now.
        signal.signal(number, signal.SIG_DFL)
        running.stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    bound = running.telemetry.serve(settings.host, settings.port if port is None else port)
    _log.info("process=%s state=started metrics=http://%s:%d/metrics", name, settings.host, bound)
    try:
        yield running
    finally:
        running.telemetry.close()
        _log.info("process=%s state=stopped", name)
