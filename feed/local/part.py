"""One running part of the local regions: the small interface, and its form as an operating system process."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from feed.local.guardian import Guardian
from feed.local.ports import PortBook
from feed.local.settings import LocalSettings
from schemas.errors import FatalError

_log = logging.getLogger(__name__)

POLL_S = 0.05
LOG_TAIL_LINES = 12


class Part(Protocol):
    """A broker, a mirror, a database: something that runs, has addresses, and can be made to fail.

    A part keeps its addresses and its state over ``kill`` and ``restart``. Processes and containers look alike here.
    """

    @property
    def name(self) -> str:
        """Unique among the parts of a stack: ``kafka-eu``, ``mirror-us``."""
        ...

    @property
    def addresses(self) -> Mapping[str, str]:
        """What listens where, by purpose, for a client on this machine."""
        ...

    @property
    def pid(self) -> int | None:
        """Process id on this machine, ``None`` when it does not run."""
        ...

    @property
    def log_path(self) -> Path | None:
        """The file that holds everything it printed in all its starts, where there is one."""
        ...

    def start(self) -> object:
        """Start it and return (nothing of interest); nothing happens when it runs already."""
        ...

    def wait_ready(self, within_s: float | None = None) -> None:
        """Return when it answers.

        Raises:
            FatalError: it ended, or does not answer within the bound; the message quotes the end of its log.
        """
        ...

    def stop(self) -> None:
        """Ask it to end, and kill it when it has not within the bound."""
        ...

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, connections are reset."""
        ...

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing is answered."""
        ...

    def resume(self) -> None:
        """Let it go on after ``pause``."""
        ...

    def restart(self, within_s: float | None = None) -> None:
        """Start it again with its addresses and its state, also after ``kill``; returns when it answers."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """Where the parts of one stack live."""

    state_dir: Path
    log_dir: Path
    guardian: Guardian
    settings: LocalSettings
    disposable: bool
    """The state goes with the stack, so nobody needs to wait until a part has put it in order."""

    ports: PortBook = field(default_factory=PortBook)
    """Which port each part has."""

    def state_of(self, name: str) -> Path:
        """The folder of one part's state, made when absent."""
        folder = self.state_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


class ProcessPart(ABC):
    """A part as a process group of its own, with a log file and a guardian."""

    def __init__(self, name: str, site: Site) -> None:
        self._name = name
        self.site = site
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    @property
    def name(self) -> str:
        """Unique among the parts of a stack."""
        return self._name

    @property
    def log_path(self) -> Path:
        """Everything it printed, in all its starts."""
        return self.site.log_dir / f"{self._name}.log"

    @property
    def pid(self) -> int | None:
        """Process id, which is the process group's as well."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    @abstractmethod
    def addresses(self) -> Mapping[str, str]:
        """What listens where, by purpose."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command line of the next start."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers now; called often, must return within a second or two."""

    def prepare(self) -> None:  # noqa: B027 - most parts have nothing to prepare
        """Before each start: write configuration, format a disk."""

    def start(self) -> None:
        """Start it and return; nothing happens when it runs already."""
        if self.pid is not None:
            return
        self.site.state_of(self._name)
        self.site.log_dir.mkdir(parents=True, exist_ok=True)
        self.prepare()
        with self.log_path.open("ab") as log:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            log.write(f"--- start of {self._name} at {stamp}\n".encode())
            log.flush()
            self._log_from = log.tell()
            self._process = self.site.guardian.spawn(self.command(), log=log, cwd=self.site.state_of(self._name))
        _log.info("started part=%s pid=%d log=%s", self._name, self._process.pid, self.log_path)

    def wait_ready(self, within_s: float | None = None) -> None:
        """Return when it answers; see ``Part.wait_ready``."""
        bound_s = self.site.settings.ready_within_s if within_s is None else within_s
        until = time.monotonic() + bound_s
        while not self.is_ready():
            if self._process is None or self._process.poll() is not None:
                code = "" if self._process is None else f" with code {self._process.returncode}"
                raise self._failed(f"{self._name} ended{code} before it was ready")
            if time.monotonic() > until:
                raise self._failed(f"{self._name} did not answer within {bound_s:.0f} s")
            time.sleep(POLL_S)

    def _failed(self, what: str) -> FatalError:
        tail = self.printed().decode(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        said = "\n".join(f"  {line}" for line in tail) or "  (nothing)"
        return FatalError(f"{what}; the last it said:\n{said}", hint=f"Its whole log is {self.log_path}.")

    def printed(self) -> bytes:
        """What it printed since its last start."""
        with contextlib.suppress(FileNotFoundError), self.log_path.open("rb") as log:
            log.seek(self._log_from)
            return log.read()
        return b""

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when it has not ended within the bound."""
        if self.pid is None:
            self.kill()  # its children may outlive it
            return
        assert self._process is not None  # noqa: S101 - it has a process id, for mypy
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(self.stop_within_s)
        except subprocess.TimeoutExpired:
            _log.info("did not stop in time, killing part=%s within_s=%s", self._name, self.stop_within_s)
        self.kill()

    @property
    def stop_within_s(self) -> float:
        """How long it may take to end when asked."""
        return self.site.settings.stop_within_s

    def kill(self) -> None:
        """SIGKILL to the whole group, and wait until it is gone."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):  # EPERM: only zombies are left (macOS)
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.site.guardian.forget(process)
        self._process = None

    @property
    def wants_orderly_stop(self) -> bool:
        """Whether an orderly stop leaves something useful behind even when the state is about to be deleted."""
        return False

    def finish(self) -> None:
        """End it for good: in order where its state is kept, at once where it is about to be deleted."""
        if self.site.disposable and not self.wants_orderly_stop:
            self.kill()
        else:
            self.stop()

    def pause(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def restart(self, within_s: float | None = None) -> None:
        """Stop it if it runs, start it, wait until it answers."""
        if self.pid is not None:
            self.stop()
        self.start()
        self.wait_ready(within_s)


def with_environment(environment: Mapping[str, str], argv: Sequence[str]) -> list[str]:
    """``argv`` behind ``env``: the part inherits this process's environment and these variables on top."""
    return ["/usr/bin/env", *(f"{key}={value}" for key, value in environment.items()), *argv]
