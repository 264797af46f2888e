"""Parts as processes, and the guardian: with programs of one line of shell instead of brokers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from feed.local import Guardian, LocalSettings, Program, Site
from feed.local.guardian import _GATE
from feed.testing import until
from schemas.errors import FatalError


def is_running(pid: int) -> bool:
    asked = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(asked.stdout.strip()) and not asked.stdout.strip().startswith("Z")


def group_is_alive(group: int) -> bool:
    asked = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in asked.stdout.splitlines()]
    return any(int(pgid) == group and not stat.startswith("Z") for pgid, stat in rows)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    guardian = Guardian()
    settings = LocalSettings(ready_within_s=5, stop_within_s=0.5)
    yield Site(tmp_path / "state", tmp_path / "logs", guardian, settings, disposable=False)
    guardian.close()


def shell(site: Site, script: str, is_up: Callable[[], bool] | None = None) -> Program:
    return Program("shell", site, argv=["/bin/sh", "-c", script], is_up=is_up)


def test_a_part_runs_and_its_log_keeps_all_starts(site: Site) -> None:
    """Killed and started again it has another process; what both printed is in one log."""
    part = shell(site, "echo hello $$; exec sleep 60")
    pids = []
    for _ in range(2):
        part.start()
        part.wait_ready()
        until(lambda: b"hello" in part.printed(), "what it prints")
        assert part.pid is not None
        pids.append(part.pid)
        part.kill()
        assert part.pid is None
    text = part.log_path.read_text()
    assert all(f"hello {pid}" in text for pid in pids)
    assert text.count("--- start of shell") == 2
    assert not any(is_running(pid) for pid in pids)


def test_an_early_end_is_told_with_the_log(site: Site) -> None:
    """The error has the exit code, the last lines and the log's name."""
    part = shell(site, "echo no such disk; exit 3", is_up=lambda: False)
    part.start()
    with pytest.raises(FatalError) as caught:
        part.wait_ready()
    assert "ended with code 3" in str(caught.value)
    assert "no such disk" in str(caught.value)
    assert str(part.log_path) in caught.value.hint


def test_no_answer_within_the_bound_is_told(site: Site) -> None:
    """A part that runs and never answers is an error after the bound, not a wait for ever."""
    part = shell(site, "echo thinking; exec sleep 60", is_up=lambda: False)
    part.start()
    with pytest.raises(FatalError, match=r"did not answer within 0 s(.|\n)*thinking"):
        part.wait_ready(0.3)
    part.kill()


def test_who_does_not_stop_is_killed_with_its_children(site: Site) -> None:
    """SIGTERM ignored: after the bound the whole group goes."""
    part = shell(site, "trap '' TERM; sleep 60 & echo child $!; wait; sleep 60")
    part.start()
    until(lambda: b"child" in part.printed(), "its child")
    child = int(part.printed().split()[-1])
    assert is_running(child)
    began = time.monotonic()
    part.stop()
    assert 0.4 < time.monotonic() - began < 20
    assert part.pid is None
    until(lambda: not is_running(child), "the child's end")


def test_pause_freezes_and_resume_goes_on(site: Site) -> None:
    """A paused part prints nothing more, and goes on after resume; it can be stopped while paused."""
    ticks = "import time\nwhile True: print('tick', flush=True); time.sleep(0.02)"
    part = Program("ticks", site, argv=[sys.executable, "-c", ticks])
    part.start()
    until(lambda: b"tick" in part.printed(), "a tick")
    part.pause()
    until(lambda: _state(part).startswith("T"), "a stopped process")
    size = len(part.printed())
    time.sleep(0.1)
    assert len(part.printed()) == size
    part.resume()
    until(lambda: len(part.printed()) > size, "more ticks")
    part.pause()
    part.stop()
    assert part.pid is None


def _state(part: Program) -> str:
    asked = subprocess.run(["ps", "-o", "stat=", "-p", str(part.pid)], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


OWNER = """
import os, sys, time
from pathlib import Path
from feed.local import Guardian, LocalSettings, Program, Site
root = Path(sys.argv[1])
(root / "gone").mkdir()
guardian = Guardian()
guardian.delete_later(root / "gone")
site = Site(root / "state", root / "logs", guardian, LocalSettings(), disposable=True)
parts = [Program(f"p{n}", site, argv=["/bin/sh", "-c", "trap '' TERM HUP INT; sleep 300 & wait"]) for n in range(3)]
for part in parts: part.start()
parts[0].pause()
forked = os.fork() if len(sys.argv) > 2 else 1
if forked == 0: time.sleep(60); os._exit(0)
print(guardian.pid, forked, *(part.pid for part in parts), flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("forks", [False, True], ids=["alone", "with-a-forked-child"])
def test_kill_9_of_the_owner_ends_everything(tmp_path: Path, forks: bool) -> None:
    """Parts that ignore signals, paused ones and their children end, the folder goes, and the guardian too.

    A forked child of the owner holds the guardian's pipe open: that does not keep the parts alive.
    """
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), *(["fork"] if forks else [])], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    guardian, forked, *parts = (int(word) for word in owner.stdout.readline().split())
    try:
        assert all(is_running(pid) for pid in (guardian, *parts))
        owner.kill()
        owner.wait()
        until(lambda: not any(is_running(pid) for pid in (guardian, *parts)), "the end of all")
        until(lambda: not any(group_is_alive(pid) for pid in parts), "the end of every part's children")
        assert not (tmp_path / "gone").exists()
    finally:
        owner.stdout.close()
        if forks:
            os.kill(forked, signal.SIGKILL)


def test_a_part_whose_owner_died_before_its_entry_never_runs(tmp_path: Path) -> None:
    """The shell in front of a part gives up when the word does not come."""
    mark = tmp_path / "ran"
    gate = subprocess.Popen(["/bin/sh", "-c", _GATE, "sh", "touch", str(mark)], stdin=subprocess.PIPE)
    gate.communicate(b"", timeout=10)
    assert gate.returncode != 0
    assert not mark.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_guardian_stays_at_its_post(site: Site, number: signal.Signals) -> None:
    """A signal that ends other processes does not end it: it still ends the part when its owner closes the pipe."""
    part = shell(site, "exec sleep 60")
    part.start()
    pid = part.pid
    assert pid is not None
    os.kill(site.guardian.pid, number)
    site.guardian.close()
    until(lambda: not is_running(pid), "the part's end")


def test_a_dead_guardian_is_noticed(site: Site) -> None:
    """Nothing is started that nobody would end."""
    os.kill(site.guardian.pid, signal.SIGKILL)
    until(lambda: not is_running(site.guardian.pid), "the guardian's end")
    with pytest.raises(FatalError, match="guardian"):
        shell(site, "sleep 60").start()
