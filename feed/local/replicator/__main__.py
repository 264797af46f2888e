"""``python -m feed.local.replicator``: the copying as a process."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from feed.local.replicator.copying import Follower, Identity, Later, Replica
from feed.local.replicator.part import FOLLOWS

POLL_S = 0.02
AGAIN_S = 1.0
"""Wait after a failure: DynamoDB Local is being restarted. Then all is begun anew, with a scan."""


def main() -> None:
    """Copy until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m feed.local.replicator",
        description="A stand-in for DynamoDB global tables: copies a table of DynamoDB Local to other regions.",
    )
    parser.add_argument("--endpoint", required=True, help="URL of DynamoDB Local")
    parser.add_argument("--table", required=True, help="the table, with a stream")
    parser.add_argument("--home", required=True, help="its AWS region")
    parser.add_argument("--replica", action="append", required=True, help="REGION=TABLE, may be repeated")
    parser.add_argument("--delay-ms", type=int, default=0, help="how much later a change reaches the replicas")
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.is_set():
        try:
            copy(given, stop)
        except (ClientError, BotoCoreError, TimeoutError) as error:
            say(f"begins anew in {AGAIN_S:.0f} s: {error}")
            stop.wait(AGAIN_S)


def copy(given: argparse.Namespace, stop: threading.Event) -> None:
    """Bring the replicas up to the table, then follow its stream."""
    home = client_of("dynamodb", given.endpoint, given.home)
    follower = Follower(home, client_of("dynamodbstreams", given.endpoint, given.home), given.table)
    replicas = []
    for region, _, table in (text.partition("=") for text in given.replica):
        client = client_of("dynamodb", given.endpoint, region)
        make_like(home, given.table, client, table)
        replicas.append(Replica(client, table))
    seen: set[Identity] = set()
    for page in follower.begin():
        seen |= {write.identity for write in page}
        for replica in replicas:
            replica.write(page)
    for replica in replicas:
        replica.remove_others(seen)
    say(FOLLOWS.decode())
    later = Later(given.delay_ms, lambda: time.monotonic_ns() // 1_000_000)
    while not stop.wait(POLL_S):
        later.put(follower.read())
        due = later.due()
        for replica in replicas:
            replica.write(due)


def make_like(home: Any, table: str, client: Any, replica: str) -> None:
    """Make the replica's table with the key of the home table, if it is not there."""
    described = home.describe_table(TableName=table)["Table"]
    attributes = {part["AttributeName"] for part in described["KeySchema"]}
    try:
        client.create_table(
            TableName=replica,
            KeySchema=described["KeySchema"],
            AttributeDefinitions=[d for d in described["AttributeDefinitions"] if d["AttributeName"] in attributes],
            BillingMode="PAY_PER_REQUEST",
        )
    except client.exceptions.ResourceInUseException:
        return


def client_of(service: str, endpoint: str, region: str) -> Any:
    """A client of DynamoDB Local; the account comes from the environment, as boto3 finds it."""
    return boto3.client(  # type: ignore[call-overload]  # one of two services, by name
        service,
        endpoint_url=endpoint,
        region_name=region,
        config=Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3, "mode": "standard"}),
    )


def say(line: str) -> None:
    """A line of its log."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
