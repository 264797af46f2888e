"""The rendered run script ends a process whose task has failed or that hangs, and leaves a healthy one alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from feed.local import free_port
from mirrormaker import Cluster, Flow, Form, render

FLOW = Flow(Cluster("eu", "eu:9092"), Cluster("us", "us:9092"), ("orders",))
PROCESS = r"""
import socket, sys, time
port, answers = int(sys.argv[1]), sys.argv[2].split(",")
with socket.create_server(("127.0.0.1", port)) as server:
    for state in answers:
        connection, _ = server.accept()
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(4096)
        line = 'kafka_connect_task_state{connector="MirrorSourceConnector",state="%s",task="0"} 1.0\n' % state
        connection.sendall(("HTTP/1.0 200 OK\r\n\r\n# HELP x\n" + line).encode())
        connection.close()
time.sleep(float(sys.argv[3]))
"""


def run(folder: Path, answers: str, lives_on_s: float) -> tuple[int, str]:
    script = folder / "eu-us-run.sh"
    script.write_text(render(Form.DEDICATED, FLOW).files["eu-us-run.sh"])
    port = str(free_port())
    program = [sys.executable, "-c", PROCESS, port, answers, str(lives_on_s)]
    environment = {**os.environ, "METRICS_PORT": port, "LOOK_EVERY_S": "0.3", "STOP_WITHIN_S": "5"}
    command = ["/bin/bash", str(script), *program]
    said = folder / "said"
    with said.open("w") as file:  # not a pipe, which the watch beside the process would hold open
        code = subprocess.run(command, env=environment, stderr=file, timeout=60, check=False).returncode
    return code, said.read_text()


@pytest.mark.parametrize("answers", ["running,failed,failed", "running,running"], ids=["failed", "hangs"])
def test_it_ends_what_copies_nothing(tmp_path: Path, answers: str) -> None:
    """A failed task in two looks, or silence of a process that has answered: ended by TERM, with the reason said."""
    code, said = run(tmp_path, answers, 50)
    assert code == -signal.SIGTERM
    assert "a task has failed or the process hangs" in said


def test_one_bad_look_is_not_enough_and_the_exit_code_is_the_processs_own(tmp_path: Path) -> None:
    """A task that fails once and runs again is left alone; the script adds nothing to how the process ends."""
    code, said = run(tmp_path, "failed,running,failed,running", 0)
    assert (code, "ending it" in said) == (0, False)
