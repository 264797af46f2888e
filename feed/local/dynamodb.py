"""DynamoDB Local: the table and its stream, in memory or in a file whose shards a test can roll."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Mapping, Sequence
from pathlib import Path

from feed.local.jars import Jars
from feed.local.java_part import JavaPart
from feed.local.part import Site
from feed.local.tools import Java

ANSWER_WITHIN_S = 2.0


class DynamoDbLocal(JavaPart):
    """DynamoDB and DynamoDB Streams on one address.

    In memory it is fast and each (access key, region) has tables of its own. With ``on_disk`` all clients share one
    database in a file, which survives a restart and lets ``feed.local.shards`` roll, split and age shards.
    """

    def __init__(self, site: Site, *, java: Java, jars: Jars, on_disk: bool, name: str = "dynamodb") -> None:
        super().__init__(name, site, java=java, jars=jars, heap_mib=site.settings.dynamodb_heap_mib)
        self._port = site.ports.port(name)
        self._on_disk = on_disk

    @property
    def endpoint(self) -> str:
        """URL for clients of both services."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def database(self) -> Path | None:
        """The SQLite file, once a table has been made; ``None`` in memory."""
        return self.site.state_of(self.name) / "shared-local-instance.db" if self._on_disk else None

    @property
    def addresses(self) -> Mapping[str, str]:
        """``endpoint``."""
        return {"endpoint": self.endpoint}

    def jvm_options(self) -> Sequence[str]:
        """Where SQLite's native library is."""
        return [f"-Djava.library.path={self._jars.folder}"]

    def main(self) -> Sequence[str]:
        """The server; it reports to nobody."""
        store = ["-dbPath", str(self.site.state_of(self.name)), "-sharedDb"] if self._on_disk else ["-inMemory"]
        server = "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"
        return [server, "-disableTelemetry", "-port", str(self._port), *store]

    def is_ready(self) -> bool:
        """It answers over HTTP (an unsigned request is refused, which is an answer)."""
        return answers_http(self._port, "/")


def answers_http(port: int, path: str) -> bool:
    """Whether whatever listens on ``port`` of this machine answers a GET, with any status."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status > 0
        finally:
            connection.close()
    return False
