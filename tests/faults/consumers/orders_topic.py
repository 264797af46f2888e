"""A topic that orders flow into, each change with the next ordinal, and what was written where."""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from connectors.kafka import KafkaClients, KafkaSettings
from feed.testing import create_topics, unique_name
from schemas.bundled import load
from schemas.change import Change
from schemas.codec import ChangeCodec
from schemas.headers import headers_of
from tests.unit.order_changes import life

PARTITIONS = 4
STATUSES = ("created", "paid", "packed", "shipped", "delivered")
CODEC = ChangeCodec.for_image(load("order"))
FLUSH_WITHIN_S = 30.0


class OrdersTopic:
    """Orders' lives, interleaved; many groups may read them."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.name = unique_name("orders")
        self.clients = KafkaClients(KafkaSettings(bootstrap_servers=bootstrap), client_id="bench")
        create_topics(bootstrap, {self.name: PARTITIONS})
        self.producer = self.clients.producer()
        self.written: dict[str, list[Change]] = defaultdict(list)
        """The changes of each order, in order."""
        self.at: dict[tuple[int, int], Change] = {}
        """Which change stands at which partition and offset."""
        self._ordinals = itertools.count()
        self._stop = threading.Event()
        self._feeder: threading.Thread | None = None

    def feed(self, rate_per_s: float) -> None:
        """Write orders' lives until told to stop."""
        self._feeder = threading.Thread(target=self._feed, args=(rate_per_s,), daemon=True)
        self._feeder.start()

    def end_feed(self) -> None:
        self.close()
        assert self.producer.flush(FLUSH_WITHIN_S) == 0

    def close(self) -> None:
        self._stop.set()
        if self._feeder is not None:
            self._feeder.join(FLUSH_WITHIN_S)

    def put(self, change: Change) -> None:
        """Write a change now, with the next ordinal of the one shard."""
        now_ms = time.time_ns() // 1_000_000
        source = replace(change.source, ordinal=next(self._ordinals))
        change = replace(change, source=source, occurred_at_ms=now_ms, captured_at_ms=now_ms)
        key = change.key["orderId"]["S"]
        self.written[key].append(change)

        def written(error: Any, message: Any) -> None:
            assert error is None
            self.at[message.partition(), message.offset()] = change

        headers = headers_of(change)
        self.producer.produce(
            self.name, CODEC.encode(change), key, headers=[*headers], timestamp=now_ms, on_delivery=written
        )
        self.producer.poll(0)

    @property
    def changes(self) -> int:
        """How many were written."""
        return sum(len(changes) for changes in self.written.values())

    def ends(self) -> dict[int, int]:
        """One past the last offset of each partition."""
        counts = dict.fromkeys(range(PARTITIONS), 0)
        for partition, offset in list(self.at):
            counts[partition] = max(counts[partition], offset + 1)
        return counts

    def records(self, partition: int) -> list[tuple[int, bytes]]:
        """Offsets and values of a partition."""
        places = sorted(place for place in self.at if place[0] == partition)
        return [(place[1], CODEC.encode(self.at[place])) for place in places]

    def _feed(self, rate_per_s: float) -> None:
        lives: list[Iterator[Change]] = []
        serials = itertools.count()
        for number in itertools.count():
            if self._stop.wait(1 / rate_per_s):
                return
            if len(lives) < 30:
                serial = next(serials)
                lives.append(iter(life(*STATUSES, order_id=f"o-{serial}", base=1_000 * serial)))
            current = lives[number * 7 % len(lives)]
            change = next(current, None)
            if change is None:
                lives.remove(current)
            else:
                self.put(change)
