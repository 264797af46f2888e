"""The guardian's own process: waits until its parent is gone, then ends what the parent left.

It is run by path with the standard library alone (``python -I -S``), so that it starts in some 20 ms, and in a session
of its own, so that no signal to the parent's terminal or process group reaches it. See ``guardian.py``.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time

LOOK_EVERY_S = 1.0
KILL_ROUNDS = 4  # a zombie that its parent has not collected looks alive for ever
DELETE_WITHIN_S = 10.0


def _apply(line: str, groups: set[int], folders: set[str]) -> None:
    verb, _, what = line.partition(" ")
    if verb == "group":
        groups.add(int(what))
    elif verb == "forget":
        groups.discard(int(what))
    elif verb == "folder":
        folders.add(what)
    elif verb == "keep":
        folders.discard(what)


def _signal(group: int) -> bool:
    """Kill the process group; False when it is gone. SIGKILL ends stopped processes too."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS answers EPERM when only zombies are left
        return False
    return True


def _delete(folder: str) -> None:
    """Delete the folder, again while something that is just ending writes to it."""
    until = time.monotonic() + DELETE_WITHIN_S
    while os.path.lexists(folder) and time.monotonic() < until:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)


def main() -> None:
    """Read orders from standard input until it ends, or until the parent is another one; then clean up."""
    for harmless in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(harmless, signal.SIG_IGN)
    parent, pending = os.getppid(), b""
    os.write(1, b".")  # at work
    os.close(1)
    groups: set[int] = set()
    folders: set[str] = set()
    # A forked child of the parent may hold the pipe's other end open after the parent is gone: look at the parent too.
    orphaned = False
    while True:
        readable, _, _ = select.select([0], [], [], 0 if orphaned else LOOK_EVERY_S)
        if readable:
            chunk = os.read(0, 1 << 16)
            if not chunk:
                break
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                _apply(line.decode(), groups, folders)
        elif orphaned:
            break
        orphaned = os.getppid() != parent
    for _ in range(KILL_ROUNDS):  # a second time for what a group was forking at that moment
        if not any([_signal(group) for group in groups]):  # noqa: C419 - all, not until the first
            break
        time.sleep(0.05)
    for folder in folders:
        _delete(folder)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        raise SystemExit("takes no arguments; see guardian.py")
    main()
