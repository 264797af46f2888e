"""The replicator as a part of the local regions."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from feed.local.object_store import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from feed.local.part import ProcessPart, Site, with_environment

FOLLOWS = b"replicator follows"
"""What it prints once the replicas have what the table had."""


class Replicator(ProcessPart):
    """Copies a table of DynamoDB Local from its home region to others; see :mod:`feed.local.replicator`.

    Args:
        site: where it lives.
        endpoint: DynamoDB Local.
        table: the table; it has a stream of new images.
        home: the AWS region of the table.
        replicas: name of the replica's table by AWS region; made when absent.
        delay_ms: how long after a write is read from the stream it reaches the replicas.
    """

    def __init__(
        self, site: Site, *, endpoint: str, table: str, home: str, replicas: Mapping[str, str], delay_ms: int
    ) -> None:
        super().__init__("replicator", site)
        self._endpoint = endpoint
        self._table = table
        self._home = home
        self._replicas = dict(replicas)
        self._delay_ms = delay_ms

    @property
    def addresses(self) -> Mapping[str, str]:
        """Nothing listens."""
        return {}

    def command(self) -> Sequence[str]:
        """The module of this folder."""
        replicas = [f"--replica={region}={table}" for region, table in self._replicas.items()]
        options = ["--endpoint", self._endpoint, "--table", self._table, "--home", self._home, *replicas]
        # in memory DynamoDB Local keeps the tables of each account apart: this is the one of the local regions
        account = {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}
        module = [sys.executable, "-m", "feed.local.replicator", *options, "--delay-ms", str(self._delay_ms)]
        return with_environment(account, module)

    def is_ready(self) -> bool:
        """It has read the table and follows its stream."""
        return self.pid is not None and FOLLOWS in self.printed()
