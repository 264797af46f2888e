"""Asks each process for its ``/metrics``. Counts of a killed process are kept, since its successor begins at zero."""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass, field
from typing import Final

from feed.demo.metrics import Samples, difference, merge, parse

SCRAPE_INTERVAL_S: Final = 2.0
ANSWER_WITHIN_S: Final = 2.0


@dataclass(slots=True)
class Reading:
    """What is known of one process."""

    samples: Samples = field(default_factory=Samples)
    """The last scrape that succeeded."""
    answered: bool = False
    """Whether the last scrape did."""
    reactions: dict[float, float] = field(default_factory=dict)
    """``feed_reaction_seconds`` over all its lives."""
    _bases: dict[str, float] = field(default_factory=dict)
    _last_reactions: dict[float, float] = field(default_factory=dict)

    def take(self, samples: Samples) -> None:
        """A new scrape."""
        for name in COUNTERS:
            before, now = self.samples.total(name), samples.total(name)
            if now < before:
                self._bases[name] = self._bases.get(name, 0.0) + before
        now_reactions = samples.buckets("feed_reaction_seconds")
        self.reactions = merge([self.reactions, difference(now_reactions, self._last_reactions)])
        self._last_reactions = now_reactions
        self.samples, self.answered = samples, True

    def counted(self, name: str) -> int:
        """A counter over all lives of the process."""
        return int(self._bases.get(name, 0.0) + self.samples.total(name))


COUNTERS: Final = (
    "feed_consumer_records_total",
    "feed_consumer_dead_letters_total",
    "feed_consumer_retries_total",
    "feed_consumer_kafka_errors_total",
    "feed_producer_records_total",
    "feed_producer_dead_letters_total",
    "feed_producer_gaps_total",
    "feed_producer_aborts_total",
)
"""What is shown, and must not go back when a process is killed."""


class Scraper:
    """Scrapes all processes from one thread; readings may be read at any time."""

    def __init__(self, ports: dict[str, int], interval_s: float = SCRAPE_INTERVAL_S) -> None:
        self.readings = {name: Reading() for name in ports}
        self._ports = ports
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scraper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, after one last look."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(ANSWER_WITHIN_S * (len(self._ports) + 1))

    def scrape(self) -> None:
        """Ask all of them once."""
        for name, port in self._ports.items():
            text = fetch(port, "/metrics")
            if text is None:
                self.readings[name].answered = False
            else:
                self.readings[name].take(parse(text))

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.scrape()
        self.scrape()


def fetch(port: int, path: str) -> str | None:
    """The body at ``path`` of a local process when it says 200, else None."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if answer.status == 200 else None
