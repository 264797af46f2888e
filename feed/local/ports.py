"""TCP ports for parts that keep their address when they are killed and started again."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import socket
import tempfile
import threading
from pathlib import Path
from typing import TextIO

from schemas.errors import ConfigError

# Below the range from which systems take ports for outgoing connections (32768 on Linux, 49152 elsewhere): a client
# that keeps dialling a stopped broker inside that range is one day given that very port, and talks to itself.
LOWEST, HIGHEST = 20_000, 32_000
ATTEMPTS = 500

_held: list[TextIO] = []  # open for as long as this process lives: the lock is the reservation


def _lock(port: int) -> bool:
    """Reserve ``port`` among this user's processes that use this module; released when the process ends."""
    folder = Path(tempfile.gettempdir()) / f"changefeed-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        file = (folder / str(port)).open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        _held.append(file)
        return True
    return False


def _is_free(port: int) -> bool:
    for host in ("127.0.0.1", ""):
        with socket.socket() as probe:
            # connections that have just ended do not count, a listener does: servers bind in this way, too
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def free_port() -> int:
    """A port that nobody listens on and that no other caller on this machine is given while this process lives.

    Raises:
        ConfigError: hundreds of ports were tried and all are taken.
    """
    for _ in range(ATTEMPTS):
        port = random.randrange(LOWEST, HIGHEST)  # noqa: S311 - a port is no secret
        if _is_free(port) and _lock(port):
            return port
    raise ConfigError(
        f"No free TCP port between {LOWEST} and {HIGHEST} after {ATTEMPTS} tries.",
        hint="Stop what listens there; `ss -ltnp` (Linux) or `lsof -iTCP -sTCP:LISTEN` (macOS) lists it.",
    )


class PortBook:
    """The ports of a stack by purpose; with a ``file`` they are the same the next time, as long as they are free."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._ports: dict[str, int] = {}
        if file is not None:
            with contextlib.suppress(FileNotFoundError, ValueError):  # a spoilt book only means other ports
                self._ports = {str(key): int(port) for key, port in json.loads(file.read_text()).items()}

    def port(self, purpose: str) -> int:
        """The port for ``purpose`` (``kafka-eu CLIENT``): that of last time when nobody else has it, else a new one."""
        with self._lock:
            before = self._ports.get(purpose)
            if before is not None and _is_free(before) and _lock(before):
                return before
            self._ports[purpose] = free_port()
            if self._file is not None:
                self._file.write_text(json.dumps(self._ports, indent=2))
            return self._ports[purpose]
