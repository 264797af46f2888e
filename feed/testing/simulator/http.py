"""A thin HTTP front: the API of DynamoDB Streams at an address, so that boto3 itself is the client.

    with StreamsServer(StreamsApi(streams).answer) as server:
        boto3.client("dynamodbstreams", endpoint_url=server.endpoint, …)

Signatures are not checked. One process; a benchmark that must not share its interpreter runs it in one of its own.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from feed.testing.simulator.api import ApiError
from feed.testing.simulator.clock import SimulatedClock

Answer = Callable[[str, bytes], bytes]
"""``(operation, request's body) -> answer's body``; raises ApiError."""

TYPE = b"application/x-amz-json-1.0"


class WallClock(SimulatedClock):
    """The machine's time; nothing is trimmed while it passes, unless ``advance`` is called."""

    def now_ms(self) -> int:
        """The time of day, and what it was advanced by."""
        return time.time_ns() // 1_000_000 + self.passed_ms

    def steady_ms(self) -> int:
        """A clock that never jumps, and what it was advanced by."""
        return time.monotonic_ns() // 1_000_000 + self.passed_ms


class StreamsServer:
    """Serves an :data:`Answer` on a free port of this machine, from the ``with`` on until its end."""

    def __init__(self, answer: Answer) -> None:
        handler = type("Handler", (_Handler,), {"answer": staticmethod(answer)})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def endpoint(self) -> str:
        """URL for clients of both services."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no fault of the server's."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as it was handed over


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    answer: Answer

    def do_POST(self) -> None:
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        request = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, body = 200, type(self).answer(operation, request)
        except ApiError as error:
            status, body = error.status, error.body()
        # head and body in one write: two would wait for each other
        head = b"HTTP/1.1 %d X\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (status, TYPE, len(body))
        self.wfile.write(head + body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Quiet."""
