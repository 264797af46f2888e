"""From a stream to a committed topic, one process at a time: the producer, a day-one loop, and the raw limit.

``python benchmarks/source/throughput.py [--source dynamodb-local|pages] [--records 120000] [--rounds 2]`` starts what
it needs. With ``pages`` ready-made answers come from a process of their own (``ready_pages.py``), so that DynamoDB
Local is not the limit. The contenders take turns; each is a process of its own (``contenders.py``).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.source.ready_pages import order
from connectors.aws import AwsClients
from feed.local import Stack, StackPlan
from feed.testing import create_topics
from feed.testing.tables import aws_settings, create_table

HERE = Path(__file__).parent
WRITERS = 4
BATCH = 25


def fill(endpoint: str, records: int) -> None:
    """A table with so many orders, each written once."""
    aws = AwsClients(aws_settings(endpoint))
    create_table(aws, "orders")
    client = aws.client("dynamodb")

    def write(own: int) -> None:
        for first in range(own * BATCH, records, WRITERS * BATCH):
            names = range(first, min(records, first + BATCH))
            client.batch_write_item(
                RequestItems={"orders": [{"PutRequest": {"Item": order(f"o-{number}")}} for number in names]}
            )

    threads = [threading.Thread(target=write, args=(own,)) for own in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def ready_pages(shards: int, records: int) -> Iterator[str]:
    """The address of ready-made pages."""
    argv = [sys.executable, str(HERE / "ready_pages.py"), "--shards", str(shards), "--records", str(records // shards)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def contend(who: str, config: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(HERE / "contenders.py"), who, json.dumps(config)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=280,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    memory = f"  resident MiB {result['resident_mib']}" if "resident_mib" in result else ""
    size = f"  {result['bytes']} bytes a record" if "bytes" in result else ""
    print(f"{who:9} {result['per_s']:9,.0f} records/s {result['cpu_ms_per_1000']:7.1f} ms CPU per 1,000{memory}{size}")
    sys.stdout.flush()
    return result


def topics(bootstrap: str, feed: str, partitions: int) -> None:
    create_topics(bootstrap, {feed: partitions, f"{feed}.control": 1, f"{feed}.dead-letter": 1})
    compacted = {f"{feed}.positions": 8, f"{feed}.snapshot": 1}
    create_topics(bootstrap, compacted, settings={"cleanup.policy": "compact"})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--source", choices=("dynamodb-local", "pages"), default="dynamodb-local")
    options.add_argument("--records", type=int, default=120_000)
    options.add_argument("--shards", type=int, default=4, help="of the ready-made pages; DynamoDB Local has one")
    options.add_argument("--partitions", type=int, default=4)
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--only", choices=("producer", "day-one", "raw"))
    options.add_argument("--settings", default="{}", help="of the producer, as JSON")
    given = options.parse_args()
    local = given.source == "dynamodb-local"
    plan = StackPlan(regions=("eu",), mirrors=False, object_store=False, ministack=False, dynamodb=local)
    with Stack(plan) as stack, ready_pages(given.shards, 1 if local else given.records) as served:
        stack.start()
        bootstrap = stack.bootstrap("eu")
        endpoint = stack.part("dynamodb").addresses["endpoint"] if local else served
        if local:
            fill(endpoint, given.records)
        create_topics(bootstrap, {"day-one": given.partitions})
        for number in range(given.rounds):
            feed = f"orders-{number}"
            topics(bootstrap, feed, given.partitions)
            config = {"endpoint": endpoint, "bootstrap": bootstrap, "table": "orders", "records": given.records}
            config["settings"] = json.loads(given.settings)
            for who in ("day-one", "producer", "raw"):
                if given.only in (None, who):
                    contend(who, config | {"feed": feed})


if __name__ == "__main__":
    main()
