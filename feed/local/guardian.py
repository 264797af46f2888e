"""Nothing is left behind: a child process that ends the parts when their owner ends, ``kill -9`` included.

The owner holds one end of a pipe and writes down each process group it starts and each temporary folder it makes. The
end of the pipe comes when the owner ends in whatever way, and does not depend on anything the owner does: the guardian
then kills the groups and deletes the folders. It works the same on Linux and macOS.

A part cannot slip through between its start and its entry: it is started behind a line of shell that waits for a word
from the owner, who sends it after the entry, and gives up when the owner is gone (``Guardian.spawn``).
"""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from schemas.errors import FatalError

_CHILD = Path(__file__).with_name("guardian_child.py")
# the part takes the place of the shell, so its process id is known before it runs
_GATE = 'read -r go && exec "$@" </dev/null'
READY_WITHIN_S = 20
CLOSE_WITHIN_S = 20


class Guardian:
    """Watches process groups and folders on behalf of this process; one for each stack of parts is enough."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child = subprocess.Popen(  # noqa: S603 - our own file, by this interpreter
            [sys.executable, "-I", "-S", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._await_ready()

    def _await_ready(self) -> None:
        said = self._child.stdout
        assert said is not None  # noqa: S101 - opened above, for mypy
        with said:
            readable, _, _ = select.select([said], [], [], READY_WITHIN_S)
            if readable and said.read(1) == b".":
                return
        self._child.kill()
        self._child.wait()
        raise FatalError(
            f"The guardian process that ends local parts did not start within {READY_WITHIN_S} s.",
            hint=f"Try it by hand: {sys.executable} -I -S {_CHILD} </dev/null",
        )

    @property
    def pid(self) -> int:
        """Of the guardian's process."""
        return self._child.pid

    def _write(self, verb: str, what: object) -> None:
        pipe = self._child.stdin
        assert pipe is not None  # noqa: S101 - opened above, for mypy
        try:
            with self._lock:
                pipe.write(f"{verb} {what}\n".encode())
                pipe.flush()
        except (OSError, ValueError) as e:
            raise FatalError(
                f"The guardian process {self.pid} that ends local parts is gone ({e}).",
                hint="Stop and start again; if it was killed by hand, end by hand what still runs.",
            ) from e

    def spawn(self, argv: Sequence[str], *, log: IO[bytes], cwd: Path) -> subprocess.Popen[bytes]:
        """Start ``argv`` in a process group of its own that ends with this process at the latest."""
        process = subprocess.Popen(  # noqa: S603 - the argv of a part
            ["/bin/sh", "-c", _GATE, "sh", *argv],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101 - opened above, for mypy
        try:
            self._write("group", process.pid)
            process.stdin.write(b"go\n")
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()
        return process

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        """The group is known to be gone: its number may be given to someone else."""
        self._write("forget", process.pid)

    def delete_later(self, folder: Path) -> None:
        """Delete ``folder`` when this process ends."""
        self._write("folder", folder)

    def close(self) -> None:
        """Clean up now: what is still watched ends, the guardian too."""
        if self._child.stdin is not None:
            with contextlib.suppress(OSError):
                self._child.stdin.close()
        try:
            self._child.wait(CLOSE_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
