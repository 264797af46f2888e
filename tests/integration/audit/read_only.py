"""A proxy with the rights of an auditor: it lets requests that read pass, and refuses those that write."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from tests.faults.sinks.faulty_proxy import FaultyServer, Handler

READING = frozenset({"GET", "HEAD"})


class ReadOnlyServer(FaultyServer):
    """``refused`` has every request that would have written."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, share=0, seed=0, handler=ReadOnlyHandler)
        self.refused: list[str] = []
        self.passed = 0


class ReadOnlyHandler(Handler):
    """One connection."""

    def handle_any(self) -> None:
        """Refuse or forward. DynamoDB's requests are all POST and name what they do."""
        server = cast("ReadOnlyServer", self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = self.headers.get("X-Amz-Target", "")
        if self.command in READING or target.endswith(".GetItem"):
            server.passed += 1
            self.reply(*server.forward(self.command, self.path, body, dict(self.headers.items())))
        else:
            server.refused.append(f"{self.command} {target or self.path}")
            self.reply(403, {}, b"<Error><Code>AccessDenied</Code></Error>")

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any  # noqa: N815 - names of the base class


@contextmanager
def read_only(endpoint: str) -> Iterator[tuple[str, ReadOnlyServer]]:
    """URL of the proxy, and the proxy."""
    server = ReadOnlyServer(endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
