"""What ``feed up`` left running: one file that says where everything is, and one lock that says whether it still runs.

The keeper (:mod:`feed.demo.keeper`) holds the lock for as long as it lives, so a stale file is never mistaken for a
running feed, and
a process id that was given to somebody else is never sent a signal.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from feed.local.settings import LocalSettings
from schemas.errors import ConfigError, FatalError

STOP_BOUND_S: Final = 60.0
"""How long ``feed down`` waits for an orderly end before it kills; the guardian then ends what is left."""

KILL_BOUND_S: Final = 30.0
POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Running:
    """Where the file and the lock are."""

    folder: Path

    @classmethod
    def here(cls) -> Running:
        """Of this user, on this machine."""
        return cls(LocalSettings().cache_dir)

    @property
    def file(self) -> Path:
        """All addresses as JSON, for people and programs."""
        return self.folder / "running.json"

    @property
    def log(self) -> Path:
        """What the keeper says."""
        return self.folder / "running.log"

    @property
    def _lock(self) -> Path:
        return self.folder / "running.lock"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock: there is one ``feed up`` at a time.

        Raises:
            ConfigError: it runs already.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                hint = "see `feed status`, or stop it by `feed down`"
                raise ConfigError("the feed is up already", hint=hint) from error
            try:
                yield
            finally:
                self.file.unlink(missing_ok=True)

    def is_held(self) -> bool:
        """Whether a keeper lives."""
        try:
            with self._lock.open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def write(self, description: dict[str, Any]) -> None:
        """The description, whole or not at all; only its owner may read it."""
        unfinished = self.file.with_suffix(".new")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
            json.dump(description, opened, indent=2)
        unfinished.replace(self.file)

    def read(self) -> dict[str, Any]:
        """The description.

        Raises:
            ConfigError: nothing runs, or it is still starting.
        """
        if not self.is_held():
            raise ConfigError("the feed is not up", hint="start it by `feed up`")
        try:
            description: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            hint = f"look again in a moment, or into {self.log}"
            raise ConfigError("the feed is still starting", hint=hint) from error
        return description

    def stop(self, sleep_s: Callable[[float], None] = time.sleep) -> bool:
        """End what runs; returns False when nothing did.

        Raises:
            FatalError: it does not end, not even by SIGKILL.
        """
        if not self.is_held():
            return False
        pid = int(self._keeper_pid())
        for number, bound_s in ((signal.SIGTERM, STOP_BOUND_S), (signal.SIGKILL, KILL_BOUND_S)):
            os.kill(pid, number)
            until_s = time.monotonic() + bound_s
            while time.monotonic() < until_s:
                if not self.is_held():
                    self.file.unlink(missing_ok=True)
                    return True
                sleep_s(POLL_S)
        raise FatalError(f"process {pid}, which keeps the feed up, does not end", hint=f"see {self.log}")

    def _keeper_pid(self) -> str:
        return self._pid_file.read_text(encoding="utf-8")

    @property
    def _pid_file(self) -> Path:
        return self.folder / "running.pid"

    def write_pid(self) -> None:
        """Who holds the lock; only the holder calls it."""
        self._pid_file.write_text(str(os.getpid()), encoding="utf-8")
