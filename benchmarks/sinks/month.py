"""One order found in a month of the archive: the local work, on simulated names and indexes, without S3.

    python -m benchmarks.sinks.month

30 days x 24 hours x 60 minutes x 8 partitions: 345,600 objects, and for each hour and partition an index of 60 runs
with 3,000 keys each (400 changes a second, every key another). The stand-in of the bucket answers at once; what is
measured is what this machine does: names, heads of indexes, entries. *bare* is one ``split`` of every name.
"""

from __future__ import annotations

import argparse
import time
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime

from connectors.s3 import ObjectHead, ObjectStore
from consumers.archive import Run, runs_in, runs_of_key
from consumers.archive.index import IndexedRun, build_index, index_folder_of, index_name, read_index
from consumers.archive.minutes import name_of, partition_folder_of
from consumers.columns import partition_of_key
from consumers.runtime.contracts import Partition

PARTITIONS = 8
DAYS = 30
FIRST_HOUR = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) // 3600
KEYS_A_RUN = 3_000
WANTED = b"o-000017"
EPOCH = datetime.fromtimestamp(0, UTC)


class Month(ObjectStore):
    """A bucket with a month's names; the wanted order is in one run of every hundredth hour."""

    def __init__(self, days: int) -> None:
        self.bucket = "month"
        self.listed: dict[str, list[ObjectHead]] = {}
        self.heads: dict[str, bytes] = {}
        self.reads = 0
        runs = [IndexedRun(0, n, n, KEYS_A_RUN) for n in range(60)]
        keys = [[b"k-%d-%d" % (n, key) for key in range(KEYS_A_RUN)] for n in range(60)]
        self.without = build_index(Partition("c", "t", "orders", 0), 0, list(zip(runs, keys, strict=True)))
        keys[17].append(WANTED)
        self.holding = build_index(Partition("c", "t", "orders", 0), 0, list(zip(runs, keys, strict=True)))
        self.templates = {
            holds: (body, read_index(body).entries_at) for holds, body in ((True, self.holding), (False, self.without))
        }
        for number in range(PARTITIONS):
            self.fill(Partition("c", "t", "orders", number), days)

    def fill(self, at: Partition, days: int) -> None:
        names, indexes = [], []
        for hour in range(FIRST_HOUR, FIRST_HOUR + 24 * days):
            runs = []
            for minute in range(60):
                first = (hour - FIRST_HOUR) * 180_000 + minute * KEYS_A_RUN
                runs.append((IndexedRun(hour * 60 + minute, first, first + KEYS_A_RUN - 1, KEYS_A_RUN), []))
                names.append(ObjectHead(name_of("archive", at, hour * 60 + minute, first), 300_000, EPOCH))
            name = index_name("archive", at, hour, 60)
            indexes.append(ObjectHead(name, len(self.without), EPOCH))
            template = self.holding if hour % 100 == 0 else self.without
            # the head of this hour, with the directory and the entries of the template
            head = build_index(at, hour, runs)
            self.heads[name] = head[: -4 * 257] + template[read_index(template).entries_at - 4 * 257 :][: 4 * 257]
        self.listed[partition_folder_of("archive", at)] = names
        self.listed[index_folder_of("archive", at)] = indexes

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[ObjectHead]:
        folder = prefix[: prefix.index("/partition=") + len("/partition=00000/")]
        heads = self.listed[folder]
        start = bisect_left(heads, max(prefix, start_after), key=lambda head: head.key)
        for head in heads[start:]:
            if not head.key.startswith(prefix):
                return
            if head.key > start_after:
                yield head

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        self.reads += 1
        beginning = self.heads[key]
        if start == 0:
            return beginning[:length]
        template, entries_at = self.templates[_hour_of(key) % 100 == 0]
        shift = entries_at - len(beginning)
        return template[start + shift : start + shift + length]


def _hour_of(name: str) -> int:
    text = name.rpartition("hour=")[2][:13]
    return int(datetime.strptime(text, "%Y-%m-%d-%H").replace(tzinfo=UTC).timestamp()) // 3600


def timed(what: str, begun: float, told: str) -> None:
    print(f"{what:44} {time.process_time() - begun:6.3f} CPU s   {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=DAYS)
    days = parser.parse_args().days
    store = Month(days)
    size = sum(len(heads) for heads in store.listed.values())
    index_bytes = len(store.without) * 24 * days * PARTITIONS
    indexes = 24 * days * PARTITIONS
    print(f"{size} names, of them {indexes} indexes of {len(store.without)} bytes ({index_bytes / 1e9:.1f} GB)")
    from_ms = FIRST_HOUR * 3_600_000
    to_ms = from_ms + days * 86_400_000
    at = Partition("c", "t", "orders", partition_of_key(WANTED, PARTITIONS))

    begun = time.process_time()
    parts = [head.key.split("/") for head in store.listed[partition_folder_of("archive", at)]]
    timed("bare: a split of every name of the partition", begun, f"{len(parts)} names")

    begun = time.process_time()
    runs = runs_in(store, "archive", at, from_ms=from_ms, to_ms=to_ms)
    timed("the partition's runs in the month", begun, f"{len(runs)} runs")

    begun = time.process_time()
    held = runs_of_key(store, "archive", runs, WANTED)
    timed("those that hold the order, by the indexes", begun, f"{len(held)} runs, {store.reads} reads of indexes")
    expected = [run for run in runs if run.minute // 60 % 100 == 0 and run.minute % 60 == 17]
    assert held == expected, (len(held), len(expected))

    begun = time.process_time()
    everything: list[Run] = []
    for number in range(PARTITIONS):
        everything += runs_in(store, "archive", Partition("c", "t", "orders", number), from_ms=from_ms, to_ms=to_ms)
    timed("for comparison: the runs of all partitions", begun, f"{len(everything)} runs")


if __name__ == "__main__":
    main()
