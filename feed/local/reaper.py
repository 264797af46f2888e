"""Nothing is left behind in Docker: what Testcontainers' Ryuk does, where no registry offers its image.

A child process in a session of its own waits for the end of its standard input, which comes when this process ends in
whatever way, and then removes the containers, networks and volumes that carry the session's label. A container that
says where its log should go (``LOG_LABEL``) leaves it there.
"""

from __future__ import annotations

import subprocess
import sys
import threading

from testcontainers.core.config import testcontainers_config
from testcontainers.core.labels import LABEL_SESSION_ID, SESSION_ID

LOG_LABEL = "changefeed.log"
"""Of a container: the file on this machine that its log is written to when it is removed."""

_CHILD = """
import signal, sys
for harmless in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(harmless, signal.SIG_IGN)
import docker
from pathlib import Path
sys.stdin.read()
client, ours = docker.from_env(), {"label": sys.argv[1]}
for container in client.containers.list(all=True, filters=ours, ignore_removed=True):
    try:
        container.kill()
    except docker.errors.APIError:
        pass
    try:
        log = container.labels.get(sys.argv[2])
        if log and Path(log).parent.is_dir():
            Path(log).write_bytes(container.logs())
    except (OSError, docker.errors.APIError):
        pass
    try:
        container.remove(force=True, v=True)
    except docker.errors.APIError:
        pass
for kind in (client.networks, client.volumes):
    for thing in kind.list(filters=ours):
        try:
            thing.remove()
        except docker.errors.APIError:
            pass
"""


_watching: list[subprocess.Popen[bytes]] = []
_lock = threading.Lock()


def watch_session() -> None:
    """See to it that this process's containers end with it, at the latest; once is enough, more does nothing."""
    with _lock:
        testcontainers_config.ryuk_disabled = True  # or its image is asked for before the first container
        if not _watching:
            argv = [sys.executable, "-c", _CHILD, f"{LABEL_SESSION_ID}={SESSION_ID}", LOG_LABEL]
            # its standard input is never closed here: that is left to the end of this process
            _watching.append(subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True))  # noqa: S603
