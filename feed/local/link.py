"""The way between two regions as a part: a delay proxy that can be cut, slowed and reset while it runs."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from feed.local.part import ProcessPart, Site
from schemas.errors import FatalError

ANSWER_WITHIN_S = 5.0
_PROGRAM = Path(__file__).with_name("proxy.py")


@dataclass(frozen=True, slots=True)
class LineState:
    """What a link is like now, and how many bytes it carried each way since it was started."""

    round_trip_ms: float
    bytes_per_s: int
    cut: bool
    connections: int
    bytes_there: int
    bytes_back: int


class Link(ProcessPart):
    """A line to a port on this machine, ``round_trip_ms`` long.

    Whoever connects to ``port`` reaches ``target`` over it. What is set while it runs is kept over a restart.
    """

    def __init__(self, name: str, site: Site, *, target: int, round_trip_ms: float) -> None:
        super().__init__(name, site)
        self.port = site.ports.port(name)
        self._control = site.ports.port(f"{name} control")
        self._target = target
        self._round_trip_ms = round_trip_ms

    @property
    def addresses(self) -> Mapping[str, str]:
        """``address``: the near end."""
        return {"address": f"127.0.0.1:{self.port}"}

    @property
    def stop_within_s(self) -> float:
        """It has nothing to put in order."""
        return 2.0

    def command(self) -> Sequence[str]:
        """The proxy, run by path: it needs the standard library alone."""
        options = {"listen": self.port, "target": self._target, "control": self._control}
        arguments = [f"--{key}={value}" for key, value in options.items()]
        return [sys.executable, "-I", str(_PROGRAM), *arguments, f"--round-trip-ms={self._round_trip_ms}"]

    def is_ready(self) -> bool:
        """It takes orders."""
        try:
            self._order({})
        except FatalError:
            return False
        return True

    def _order(self, order: Mapping[str, object]) -> LineState:
        try:
            with socket.create_connection(("127.0.0.1", self._control), ANSWER_WITHIN_S) as connection:
                connection.sendall(json.dumps(order).encode() + b"\n")
                answer = connection.makefile().readline()
        except OSError as e:
            raise FatalError(f"The link {self.name} does not answer: {e}.", hint=f"Its log is {self.log_path}.") from e
        return LineState(**json.loads(answer))

    def state(self) -> LineState:
        """What it is like now."""
        return self._order({})

    def cut(self) -> None:
        """Nothing passes any more and nothing is refused, as when a cable is broken."""
        self._order({"cut": True})

    def mend(self) -> None:
        """What was under way arrives, then all is as before."""
        self._order({"cut": False})

    def reset(self) -> None:
        """Close every connection at once; new ones are taken."""
        self._order({"reset": True})

    def set_round_trip(self, round_trip_ms: float) -> None:
        """Make the way longer or shorter."""
        self._round_trip_ms = round_trip_ms
        self._order({"round_trip_ms": round_trip_ms})

    def slow(self, bytes_per_s: int) -> None:
        """Let each connection carry so much each way, 0 for no limit."""
        self._order({"bytes_per_s": bytes_per_s})
