"""The distance between two regions: a TCP proxy that delays, slows, cuts and resets.

Run as a process of its own (``python -I proxy.py --listen …``), with the standard library alone, since it stands in the
way of thousands of records a second and must not share an interpreter with anything. It takes one order per line of
JSON on its control port and answers with its state: ``{"round_trip_ms": 75}``, ``{"cut": true}``, ``{"reset": true}``,
``{"bytes_per_s": 100000}``. It counts what passed: ``bytes_there`` to the target, ``bytes_back`` from it.

What each means: the *round trip* delays every byte by half of it, each way. *Cut* is what a broken cable does: nothing
passes, nothing is refused; when it is mended, what was under way arrives. *Reset* closes all connections at once.
*Bytes per second* is for each connection and direction, 0 without a limit.

Memory is bounded: a direction holds at most ``HOLD_BYTES`` (32 MB/s over 260 ms), then the sender is not read.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections import deque
from dataclasses import asdict, dataclass, replace

HOLD_BYTES = 8 << 20
CONNECT_WITHIN_S = 5.0
MAX_CONNECTIONS = 1_000
TIMER_SLACK_S = 0.0005  # the event loop's timers are no finer


@dataclass(frozen=True, slots=True)
class Line:
    """What the way between two regions is like now."""

    round_trip_ms: float = 0.0
    bytes_per_s: int = 0
    cut: bool = False

    def due(self, now: float, last_due: float, size: int) -> float:
        """When ``size`` bytes that came in at ``now`` go out, not before what came in earlier. In seconds."""
        begins = max(now + self.round_trip_ms / 2_000, last_due)
        return begins + size / self.bytes_per_s if self.bytes_per_s else begins


class Way:
    """One direction of one connection: what came in and is not due yet."""

    def __init__(self, proxy: Proxy) -> None:
        self.passed = 0
        self._proxy = proxy
        self._held: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._last_due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._source: asyncio.Transport | None = None
        self._sink: asyncio.Transport | None = None
        self._blocked = False
        self._ended = False

    @property
    def is_done(self) -> bool:
        """Nothing will ever pass here again."""
        return self._ended and (not self._held or (self._sink is not None and self._sink.is_closing()))

    def begin(self, source: asyncio.Transport, sink: asyncio.Transport) -> None:
        """Both ends are there."""
        self._source, self._sink = source, sink
        self.wake()

    def take(self, data: bytes) -> None:
        """Bytes came in; stop reading when too many wait."""
        self._last_due = self._proxy.line.due(asyncio.get_running_loop().time(), self._last_due, len(data))
        self._held.append((self._last_due, data))
        self._size += len(data)
        if self._size > HOLD_BYTES and self._source is not None:
            self._source.pause_reading()
        if self._timer is None:
            self.wake()

    def end(self) -> None:
        """Nothing more comes in; what waits still goes out in its time."""
        self._ended = True
        self.wake()

    def block(self, *, blocked: bool) -> None:
        """The receiver is slow, or is quick again."""
        self._blocked = blocked
        self.wake()

    def wake(self) -> None:
        """Something changed: see when the next bytes are due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._blocked or self._proxy.line.cut or self._sink is None or self._sink.is_closing():
            return
        if self._held:
            self._timer = asyncio.get_running_loop().call_at(self._held[0][0], self._send)
        elif self._ended:
            self._sink.close()

    def _send(self) -> None:
        assert self._sink is not None  # noqa: S101 - wake() looked, for mypy
        self._timer = None
        now = asyncio.get_running_loop().time() + TIMER_SLACK_S
        ready: list[bytes] = []
        while self._held and self._held[0][0] <= now:
            ready.append(self._held.popleft()[1])
        data = ready[0] if len(ready) == 1 else b"".join(ready)
        was_full = self._size > HOLD_BYTES
        self._size -= len(data)
        if was_full and self._size <= HOLD_BYTES and self._source is not None and not self._source.is_closing():
            self._source.resume_reading()
        self.passed += len(data)
        self._sink.write(data)  # may call block()
        self.wake()


class End(asyncio.Protocol):
    """One end of a connection: what it reads goes ``out``; when it cannot write quickly enough, ``into`` is blocked."""

    def __init__(self, out: Way, into: Way, proxy: Proxy, *, dial: bool) -> None:
        self._out, self._into, self._proxy, self._dial = out, into, proxy, dial
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came, or the target took the call."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP, for mypy
        self.transport = transport
        self._proxy.open.add(self)
        if self._dial:
            self._proxy.dial(self, self._out, self._into)

    def data_received(self, data: bytes) -> None:
        """Bytes to pass on."""
        self._out.take(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Closed or reset: the other end follows when it has got what is under way."""
        self._proxy.open.discard(self)
        self._out.end()
        self._into.end()

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self._into.block(blocked=True)

    def resume_writing(self) -> None:
        """The socket's buffer has room."""
        self._into.block(blocked=False)


class Proxy:
    """All connections that come to one port, and the line they share."""

    def __init__(self, target: int, line: Line) -> None:
        self.line = line
        self.open: set[End] = set()
        self._target = target
        self._ways: dict[Way, bool] = {}
        self._passed = {True: 0, False: 0}
        self._dialling: set[asyncio.Task[None]] = set()

    def accept(self) -> End:
        """An end for a client that has come."""
        there, back = Way(self), Way(self)
        return End(there, back, self, dial=True)

    def dial(self, client: End, there: Way, back: Way) -> None:
        """Connect to the target on the client's behalf."""
        task = asyncio.get_running_loop().create_task(self._connect(client, there, back))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _connect(self, client: End, there: Way, back: Way) -> None:
        near = client.transport
        assert near is not None  # noqa: S101 - it has just come, for mypy
        if len(self.open) > MAX_CONNECTIONS:
            near.abort()
            return
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                far, _ = await loop.create_connection(
                    lambda: End(back, there, self, dial=False), "127.0.0.1", self._target
                )
        except (OSError, TimeoutError):
            near.abort()  # as a closed port does
            return
        there.begin(near, far)
        back.begin(far, near)
        for way in [way for way in self._ways if way.is_done]:
            self._passed[self._ways.pop(way)] += way.passed
        self._ways |= {there: True, back: False}

    def passed(self, *, there: bool) -> int:
        """Bytes that left the proxy so far in one direction, over all connections."""
        return self._passed[there] + sum(way.passed for way, goes_there in self._ways.items() if goes_there == there)

    def change(self, order: dict[str, object]) -> None:
        """Carry out one order from the control port."""
        known = {key: value for key, value in order.items() if key in ("round_trip_ms", "bytes_per_s", "cut")}
        self.line = replace(self.line, **known)  # type: ignore[arg-type] # checked by who sends it, in DelayProxy
        if order.get("reset"):
            for end in list(self.open):
                if end.transport is not None:
                    end.transport.abort()
        for way in self._ways:
            way.wake()


async def _control(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while order := await reader.readline():
            proxy.change(json.loads(order))
            state = {
                **asdict(proxy.line),
                "connections": len(proxy.open) // 2,
                "bytes_there": proxy.passed(there=True),
                "bytes_back": proxy.passed(there=False),
            }
            writer.write(json.dumps(state).encode() + b"\n")
            await writer.drain()
    writer.close()


async def serve(listen: int, target: int, control: int, line: Line) -> None:
    """Carry connections from ``listen`` to ``target``, both on the loopback address, until cancelled."""
    proxy = Proxy(target, line)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(proxy.accept, "127.0.0.1", listen, backlog=128)
    orders = await asyncio.start_server(lambda r, w: _control(proxy, r, w), "127.0.0.1", control)
    async with server, orders:
        await server.serve_forever()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="A TCP proxy that plays the distance between two regions.")
    parser.add_argument("--listen", type=int, required=True, help="port that clients come to")
    parser.add_argument("--target", type=int, required=True, help="port that they are taken to")
    parser.add_argument("--control", type=int, required=True, help="port for orders, a line of JSON each")
    parser.add_argument("--round-trip-ms", type=float, default=0.0, help="time to the target and back")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(given.listen, given.target, given.control, Line(round_trip_ms=given.round_trip_ms)))


if __name__ == "__main__":
    main()
