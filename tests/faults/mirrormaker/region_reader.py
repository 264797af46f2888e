"""Reads one region's topic from its beginning, all partitions, and notes when each record became readable.

``python -m … '<json>'``; a line on standard input says how many records there are in all. It ends when it has read them
and nothing more came for two seconds, or when they do not come within the bound. Prints its chains; delays are written
to a file of doubles: produced, received, produced, received …, in seconds.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from array import array
from pathlib import Path

from confluent_kafka import KafkaError, TopicPartition

from connectors.kafka import KafkaClients, KafkaSettings
from tests.faults.mirrormaker.chain import Chains

QUIET_S = 2.0
_END_OF_PARTITION = KafkaError._PARTITION_EOF


class Expectation:
    """How many records there will be, once that is known."""

    def __init__(self, within_s: float) -> None:
        self.count: int | None = None
        self._within_s = within_s
        self._until = float("inf")
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        line = sys.stdin.readline()
        self._until = time.monotonic() + self._within_s
        self.count = int(line) if line.strip() else 0

    def is_met(self, total: int, quiet_s: float) -> bool:
        """Nothing more is to be waited for."""
        if self.count is None:
            return False
        return (total >= self.count and quiet_s > QUIET_S) or time.monotonic() > self._until


def main() -> None:
    """Read until everything is there."""
    given = json.loads(sys.argv[1])
    clients = KafkaClients(KafkaSettings(bootstrap_servers=given["bootstrap"]), client_id="campaign-reader")
    # a mirror that is killed amid a transaction leaves records that nobody may read; where retention takes them away, a
    # reader goes on behind them. The chains tell if it passed over anything that was committed
    reader = clients.reader(**{"auto.offset.reset": "earliest"})
    reader.assign([TopicPartition(given["topic"], number, 0) for number in range(given["partitions"])])
    chains, times, errors = Chains(), array("d"), list[str]()
    expected = Expectation(given["drain_within_s"])
    last = time.monotonic()
    while not expected.is_met(chains.total, time.monotonic() - last):
        message = reader.poll(0.2)
        if message is None:
            continue
        error = message.error()
        if error is not None:
            if error.code() != _END_OF_PARTITION:
                errors.append(f"{error.name()}: {error.str()}")
            continue
        received = time.time()
        headers = list(message.headers() or ())
        produced_ns = chains.add(message.partition() or 0, message.key() or b"", message.value() or b"", headers)
        times.extend((produced_ns / 1e9, received))
        last = time.monotonic()
    reader.close()
    with Path(given["times"]).open("wb") as file:
        times.tofile(file)
    sys.stdout.write(json.dumps({**chains.summary(), "errors": errors[:20]}))


if __name__ == "__main__":
    main()
