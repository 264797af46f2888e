"""Where the time goes: CPU seconds by process."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CLOCK: Final = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")


def cpu_seconds(pid: int) -> float | None:
    """User and system time of a process and of its children that have ended; None when there is none.

    From ``/proc`` where there is one (1/100 s), else from ``ps``.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return None
    answer = subprocess.run(  # noqa: S603 - a number is the only thing that varies
        ["/bin/ps", "-o", "time=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
    )
    return parse_clock(answer.stdout)


def parse_clock(text: str) -> float | None:
    """``[[days-]hours:]minutes:seconds`` as ``ps`` prints it."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return None
    days, hours, minutes, seconds = match.groups(default="0")
    return int(days) * 86_400 + int(hours) * 3_600 + int(minutes) * 60 + float(seconds)


@dataclass(frozen=True, slots=True)
class Share:
    """One process's part."""

    name: str
    seconds: float


class CpuMeter:
    """Adds up CPU by name from :meth:`look` to look, over processes that come and go under one name."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], float] = {}
        self._total: dict[str, float] = {}

    def look(self, pids: Mapping[str, int | None]) -> None:
        """Read all; what a process used before its first look does not count."""
        for name, pid in pids.items():
            now = cpu_seconds(pid) if pid is not None else None
            if pid is None or now is None:
                continue
            before = self._last.get((name, pid))
            self._last[name, pid] = now
            self._total[name] = self._total.get(name, 0.0) + (now - before if before is not None else 0.0)

    def shares(self) -> list[Share]:
        """The most first."""
        return sorted((Share(name, seconds) for name, seconds in self._total.items()), key=lambda one: -one.seconds)
