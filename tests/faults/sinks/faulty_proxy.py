"""An HTTP proxy before the S3 server that fails a share of the requests, before or after they took effect."""

from __future__ import annotations

import http.client
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import urlsplit

FAULTS = ("busy", "broken after", "lost answer", "slow")
"""503 and nothing happened; 500 though it happened; the connection ends though it happened; half a second late."""

OWN_HEADERS = {"content-length", "transfer-encoding", "connection", "date", "server"}


class FaultyServer(ThreadingHTTPServer):
    """The proxy; ``counts`` has how often each fault was drawn."""

    daemon_threads = True

    def __init__(
        self, endpoint: str, *, share: float, seed: int, handler: type[BaseHTTPRequestHandler] | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), handler or Handler)
        self.target = urlsplit(endpoint)
        self.counts: Counter[str] = Counter()
        self._share = share
        self._dice = random.Random(seed)
        self._lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients are killed while they talk to it: that is no news."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def draw(self) -> str:
        """What happens to the next request."""
        with self._lock:
            fault = self._dice.choice(FAULTS) if self._dice.random() < self._share else "none"
            self.counts[fault] += 1
            return fault

    def forward(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """The server's answer. The Host header stays the client's, since its signature covers it."""
        upstream = http.client.HTTPConnection(self.target.hostname or "", self.target.port, timeout=20)
        upstream.request(method, path, body=body, headers=headers)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        return answer.status, dict(answer.getheaders()), content


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def handle_any(self) -> None:
        """Fail or forward."""
        server = cast("FaultyServer", self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = server.draw()
        if fault == "busy":
            self.reply(503, {}, b"<Error><Code>SlowDown</Code></Error>")
            return
        answer = server.forward(self.command, self.path, body, dict(self.headers.items()))
        if fault == "broken after":
            self.reply(500, {}, b"<Error><Code>InternalError</Code></Error>")
        elif fault == "lost answer":
            self.close_connection = True
        else:
            time.sleep(0.5 if fault == "slow" else 0)  # the fault itself
            self.reply(*answer)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any  # noqa: N815 - names of the base class

    def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        """Answer the client."""
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in OWN_HEADERS:
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def faulty_proxy(endpoint: str, *, share: float, seed: int) -> Iterator[tuple[str, Counter[str]]]:
    """URL of a proxy to ``endpoint`` in which a share of the requests fails, and the count of each fault."""
    server = FaultyServer(endpoint, share=share, seed=seed)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server.counts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
