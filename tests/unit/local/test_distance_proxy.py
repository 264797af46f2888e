"""The proxy that stands for the distance between two regions."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.local import Guardian, Link, LocalSettings, Site
from feed.local.proxy import Line


@given(
    round_trip_ms=st.floats(0, 1_000),
    bytes_per_s=st.integers(0, 10**9),
    chunks=st.lists(st.tuples(st.floats(0, 2), st.integers(1, 10**6)), min_size=1, max_size=20),
)
def test_bytes_never_overtake_and_are_never_early(
    round_trip_ms: float, bytes_per_s: int, chunks: list[tuple[float, int]]
) -> None:
    """Due times do not decrease, no chunk is due before half a round trip, and a limit is kept."""
    line, now, last = Line(round_trip_ms, bytes_per_s), 100.0, 0.0
    for wait, size in chunks:
        now += wait
        due = line.due(now, last, size)
        assert due >= last
        assert due >= now + round_trip_ms / 2_000
        if bytes_per_s:
            assert due - last >= size / bytes_per_s - 1e-6
        last = due


@contextmanager
def echo_server() -> Iterator[int]:
    """Sends back what it gets, on any number of connections."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()
    ports: list[int] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        server.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert ready.wait(5)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    guardian = Guardian()
    yield Site(tmp_path / "state", tmp_path / "logs", guardian, LocalSettings(), disposable=True)
    guardian.close()


@contextmanager
def link_to(site: Site, target: int, round_trip_ms: float) -> Iterator[Link]:
    link = Link("link", site, target=target, round_trip_ms=round_trip_ms)
    link.start()
    link.wait_ready(10)
    try:
        yield link
    finally:
        link.kill()


def dial(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), 5)


def ask(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    got = b""
    while len(got) < len(data):
        more = connection.recv(1 << 16)
        if not more:
            break
        got += more
    return got


def ends(connection: socket.socket) -> bool:
    """Whether the other side closes or resets it, without another byte."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_an_answer_takes_one_round_trip(site: Site) -> None:
    """80 ms there and back, and all bytes unchanged."""
    with echo_server() as port, link_to(site, port, 80) as link, closing(dial(link)) as connection:
        began = time.monotonic()
        assert ask(connection, b"hello") == b"hello"
        assert 0.08 <= time.monotonic() - began < 20


def test_many_bytes_are_under_way_at_once(site: Site) -> None:
    """Delay is not a limit: megabytes pass in order, in much less than a round trip for each buffer."""
    data = bytes(range(256)) * 16_384  # 4 MiB
    with echo_server() as port, link_to(site, port, 400) as link, closing(dial(link)) as connection:
        got = bytearray()
        reader = threading.Thread(target=lambda: _receive(connection, got, len(data)))
        began = time.monotonic()
        reader.start()
        connection.sendall(data)
        reader.join(60)
        assert bytes(got) == data
        assert time.monotonic() - began < 12  # 64 KiB for each round trip would need 26 s


def _receive(connection: socket.socket, into: bytearray, size: int) -> None:
    while len(into) < size:
        into += connection.recv(1 << 16)


def test_a_cut_holds_and_mending_delivers(site: Site) -> None:
    """Nothing comes while cut, also not for new connections, nothing is refused; afterwards all of it arrives."""
    with echo_server() as port, link_to(site, port, 0) as link, closing(dial(link)) as old:
        assert ask(old, b"a") == b"a"
        link.cut()
        old.sendall(b"b")
        with closing(dial(link)) as new:
            new.sendall(b"c")
            for connection in (old, new):
                connection.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    connection.recv(1)
            link.mend()
            for connection, expected in ((old, b"b"), (new, b"c")):
                connection.settimeout(5)
                assert connection.recv(1) == expected


def test_bytes_are_counted_each_way_also_of_connections_that_ended(site: Site) -> None:
    """What went to the target and what came back, over all connections since the start."""
    with echo_server() as port, link_to(site, port, 0) as link:
        for text in (b"abc", b"defgh"):
            with closing(dial(link)) as connection:
                assert ask(connection, text) == text
        state = link.state()
        assert (state.bytes_there, state.bytes_back) == (8, 8)


def test_reset_ends_connections_and_takes_new_ones(site: Site) -> None:
    """An open connection is reset at once; the next one works."""
    with echo_server() as port, link_to(site, port, 0) as link:
        with closing(dial(link)) as old:
            assert ask(old, b"a") == b"a"
            link.reset()
            assert ends(old)
        with closing(dial(link)) as new:
            assert ask(new, b"b") == b"b"


def test_slow_keeps_the_limit(site: Site) -> None:
    """At 20 kB/s each way 10 kB need half a second at least."""
    with echo_server() as port, link_to(site, port, 0) as link, closing(dial(link)) as connection:
        link.slow(20_000)
        began = time.monotonic()
        assert len(ask(connection, b"x" * 10_000)) == 10_000
        assert time.monotonic() - began >= 0.45


def test_a_closed_target_closes_the_connection(site: Site) -> None:
    """Behind a dead broker the proxy does not keep clients waiting."""
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        with link_to(site, nobody.getsockname()[1], 0) as link, closing(dial(link)) as connection:
            connection.settimeout(5)
            assert ends(connection)


def test_a_client_that_leaves_is_taken_off_the_target(site: Site) -> None:
    """Connections do not pile up."""
    with echo_server() as port, link_to(site, port, 0) as link:
        for _ in range(5):
            with closing(dial(link)) as connection:
                assert ask(connection, b"a") == b"a"
        until = time.monotonic() + 5
        while link.state().connections and time.monotonic() < until:
            time.sleep(0.02)
        assert link.state().connections == 0
