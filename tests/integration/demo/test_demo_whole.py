"""The commands that a newcomer types, as processes: the whole feed comes up, proves itself, and is gone afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feed.testing import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

FEED = [sys.executable, "-m", "feed"]
GONE_WITHIN_S = 30.0
UP_WITHIN_S = 240.0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment whose cache has its own folder for what runs, and the jars that are there already."""
    cache = tmp_path / "home" / (".cache" if sys.platform != "darwin" else "Library/Caches") / "changefeed"
    cache.mkdir(parents=True)
    real = Path.home() / cache.relative_to(tmp_path / "home")
    if real.exists():
        for entry in real.iterdir():
            if not entry.name.startswith(("running", "logs")):
                (cache / entry.name).symlink_to(entry)
    state = tmp_path / "state"
    state.mkdir()
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "TMPDIR": str(state)}
    yield environment
    subprocess.run([*FEED, "down"], env=environment, timeout=120, check=False, capture_output=True)


def processes_of(text: str) -> set[int]:
    """Processes with ``text`` in their command line, this one's own apart."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in listed.splitlines())
    return {int(row[0]) for row in rows if len(row) == 3 and text in row[2] and not row[1].startswith("Z")} - {
        os.getpid()
    }


def check_gone(text: str) -> None:
    """No process has the text in its command line, soon."""
    until(lambda: not processes_of(text), lambda: f"the end of {processes_of(text)}", within_s=GONE_WITHIN_S)


def state_dir_of(output: str) -> str:
    found = re.search(r"configuration +(\S+)/feed.yaml", output)
    assert found is not None, output
    return found.group(1)


def test_a_demo_with_kills_proves_every_promise_and_leaves_nothing(home: dict[str, str], tmp_path: Path) -> None:
    """With producer, mirror and warehouse killed -9: all once, in order, unaltered, in every region and sink."""
    report = tmp_path / "report.json"
    options = ["--rate", "40", "--seconds", "15", "--drain", "120", "--kill", "--json", str(report)]
    options += ["--replica-delay-ms", "100"]
    ran = subprocess.run([*FEED, "demo", *options], env=home, capture_output=True, text=True, timeout=500, check=False)
    assert ran.returncode == 0, ran.stdout[-6_000:] + ran.stderr[-3_000:]
    found: dict[str, Any] = json.loads(report.read_text())
    assert found["holds"]
    assert {stall["name"] for stall in found["stalls"]} == {"producer", "mirror-us", "warehouse"}
    places = {(finding["region"], finding["place"]): finding for finding in found["verdict"]["findings"]}
    assert {region for region, place in places if place == "topic"} == {"eu", "us", "ap"}
    assert len(places) == 9
    for place in (("eu", "audit"), ("us", "warehouse")):
        assert places[place]["bursts"] > 0
    assert "PROMISES HELD" in ran.stdout
    assert re.search(r"look-ups in the replica, 100 ms late: .*(same|newer) [1-9]", ran.stdout), ran.stdout
    check_gone(str(tmp_path))


def test_up_keeps_running_and_down_leaves_nothing(home: dict[str, str], tmp_path: Path) -> None:
    """Up writes every address, a second up is refused, status is green, verify reads it, down ends it; twice."""
    data = tmp_path / "data"
    for _ in range(2):
        options = ["--regions", "eu,us", "--no-delay", "--data", str(data)]
        ran = subprocess.run(
            [*FEED, "up", *options], env=home, capture_output=True, text=True, timeout=UP_WITHIN_S, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert state_dir_of(ran.stdout) == str(data)
        again = subprocess.run([*FEED, "up"], env=home, capture_output=True, text=True, timeout=60, check=False)
        assert again.returncode == 2
        assert "the feed is up already" in again.stderr
        described = subprocess.run([*FEED, "status", "--json"], env=home, capture_output=True, text=True, check=True)
        assert set(json.loads(described.stdout)["regions"]) == {"eu", "us"}
        status = subprocess.run([*FEED, "status"], env=home, capture_output=True, text=True, timeout=60, check=False)
        assert status.returncode == 0, status.stdout
        verify = [*FEED, "verify", "-q", "-c", str(data / "feed.yaml")]
        verified = subprocess.run(verify, env=home, capture_output=True, text=True, timeout=120, check=False)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        down = subprocess.run([*FEED, "down"], env=home, capture_output=True, text=True, timeout=120, check=False)
        assert down.returncode == 0
        check_gone(str(data))
    status = subprocess.run([*FEED, "status"], env=home, capture_output=True, text=True, timeout=60, check=False)
    assert status.returncode == 2
    assert "the feed is not up" in status.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_demo_that_is_stopped_or_killed_leaves_nothing(home: dict[str, str], number: int) -> None:
    """Ctrl-C in the middle, or kill -9: every process of the demo is gone within the bound."""
    demo = subprocess.Popen(
        [*FEED, "demo", "--rate", "20", "--seconds", "120", "--regions", "eu,us", "--no-delay"],
        env=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert demo.stdout is not None
        lines: list[str] = []
        for line in demo.stdout:
            lines.append(line)
            if line.startswith("writing"):
                break
        assert demo.poll() is None, "".join(lines)
        assert len(processes_of(home["TMPDIR"])) > 8
        os.killpg(demo.pid, number)
        demo.communicate(timeout=60)
    finally:
        demo.kill()
        demo.wait()
    assert demo.returncode != 0
    check_gone(home["TMPDIR"])
    assert list(Path(home["TMPDIR"]).glob("*/feed.yaml")) == []
