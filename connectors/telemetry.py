"""What a process says about itself: metrics, health and readiness, on one port."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Metric, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

_log = logging.getLogger(__name__)

LATENCY_BUCKETS_S: Final = tuple(round(0.005 * 1.15**n, 6) for n in range(70))
"""5 ms to 77 s in steps of 15 %: a quantile read from them is off by at most that."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold; ``reason`` says what is wrong, or what is fine."""

    ok: bool
    reason: str


class Checks:
    """Named checks; green while all are. Safe to set from any thread."""

    def __init__(self, kind: str = "health", *, whole: Checks | None = None, prefix: str = "") -> None:
        self._lock: threading.Lock = whole._lock if whole else threading.Lock()  # noqa: SLF001 (of the same class)
        self._checks: dict[str, Check] = whole._checks if whole else {}  # noqa: SLF001 (of the same class)
        self._kind, self._prefix = kind, prefix

    def part(self, name: str) -> Checks:
        """The same checks, as one of several parts of the process sets them: its names begin with ``name``."""
        return Checks(self._kind, whole=self, prefix=f"{self._prefix}{name} ")

    def set(self, name: str, *, ok: bool, reason: str = "") -> None:
        """Record the state of one check; a change of it is a line of the log."""
        name = self._prefix + name
        with self._lock:
            before = self._checks.get(name)
            self._checks[name] = Check(ok, reason)
        # what was never green is only beginning; a check that turned red is news, and so is its end
        if before is not None and before.ok is not ok:
            _log.log(
                logging.INFO if ok else logging.WARNING,
                "%s %s check=%s reason=%s",
                self._kind,
                "green" if ok else "red",
                name,
                reason or "none",
            )

    def clear(self, name: str) -> None:
        """Forget a check (its partition or slot is no longer ours)."""
        with self._lock:
            self._checks.pop(self._prefix + name, None)

    def read(self) -> dict[str, Check]:
        """All checks of the process now."""
        with self._lock:
            return dict(self._checks)


@dataclass(frozen=True, slots=True)
class TelemetryPart:
    """What one of several parts of a process (a feed) says about itself, on the process's registry and port."""

    registry: CollectorRegistry
    health: Checks
    readiness: Checks


class StandingCollector(Collector):
    """``feed_healthy`` and ``feed_ready``: what ``/healthz`` and ``/readyz`` answer; the reasons are on those pages."""

    def __init__(self, process: str, health: Callable[[], bool], readiness: Callable[[], bool]) -> None:
        self._process = process
        self._told = (
            ("feed_healthy", "1 while /healthz is green", health),
            ("feed_ready", "1 while /readyz is green", readiness),
        )

    def collect(self) -> Iterator[Metric]:
        """Both, as they stand now."""
        for name, text, green in self._told:
            family = GaugeMetricFamily(name, text, labels=["process"])
            family.add_metric([self._process], float(green()))
            yield family


class Telemetry:
    """The registry, the checks and the port of one process."""

    def __init__(self, process: str) -> None:
        self.process = process
        self.registry = CollectorRegistry()
        self.health = Checks("health")
        """Red: something makes no progress though it should. Served at ``/healthz``."""
        self.readiness = Checks("readiness")
        """Red: not yet at work (no slots or partitions assigned). Served at ``/readyz``."""
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        Gauge("feed_up", "1 while the process runs", ["process"], registry=self.registry).labels(process).set(1)
        self.registry.register(StandingCollector(process, lambda: self.is_healthy, lambda: self.is_ready))
        self._server: ThreadingHTTPServer | None = None

    @property
    def is_healthy(self) -> bool:
        """Nothing stands that should move."""
        return all(check.ok for check in self.health.read().values())

    @property
    def is_ready(self) -> bool:
        """It is at work; nothing said yet is not ready, though it is not ill either."""
        states = self.readiness.read()
        return bool(states) and all(check.ok for check in states.values())

    def part(self, name: str) -> TelemetryPart:
        """The same telemetry for one of several parts of the process: its checks carry its name."""
        return TelemetryPart(self.registry, self.health.part(name), self.readiness.part(name))

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Serve ``/metrics``, ``/healthz`` and ``/readyz`` from a daemon thread.

        Returns:
            The bound port (of use with port 0: any free one).
        """
        telemetry = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5  # seconds a client may take to send its request

            def do_GET(self) -> None:
                status, kind, body = telemetry.answer(self.path.partition("?")[0])
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet: a scrape every few seconds is not news."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="telemetry", daemon=True).start()
        return int(self._server.server_address[1])

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body for a path."""
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(self.registry)
        pages = {"/healthz": (self.health, self.is_healthy), "/readyz": (self.readiness, self.is_ready)}
        if path not in pages:
            return 404, "text/plain", b"/metrics /healthz /readyz\n"
        checks, green = pages[path]
        states = checks.read()
        lines = [
            f"{'ok ' if check.ok else 'RED'} {name} {check.reason}".rstrip() for name, check in sorted(states.items())
        ]
        return (200 if green else 503), "text/plain; charset=utf-8", ("\n".join(lines) + "\n").encode()

    def close(self) -> None:
        """Free the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
