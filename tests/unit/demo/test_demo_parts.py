"""The other pure parts of a demo: options, CPU, stalls, drain, the local feed.yaml."""

from __future__ import annotations

import os
import threading
import time

import pytest

from feed.demo.cpu import CpuMeter, cpu_seconds, parse_clock
from feed.demo.drain import behind, wait_until_drained
from feed.demo.kills import Killer, Victim, is_done, is_steady, longest_gap
from feed.demo.plan import DemoPlan, regions_of
from feed.demo.watch import read_progress
from feed.workload.run import Progress
from schemas.errors import ConfigError, FatalError


@pytest.mark.parametrize(
    "text, regions",
    [("eu,us,ap", ("eu", "us", "ap")), ("us, eu", ("eu", "us")), ("eu", ("eu",)), ("eu,eu", ("eu",))],
)
def test_regions_are_read_with_the_home_region_first(text: str, regions: tuple[str, ...]) -> None:
    """Any order and spacing, no doubles; the consumers are those whose region takes part."""
    assert regions_of(text) == regions
    assert ("warehouse" in DemoPlan(regions=regions).consumers) == ("us" in regions)


@pytest.mark.parametrize(
    "text, sentence", [("eu,mars", "no region 'mars'"), ("us,ap", "region eu.*is left out"), ("", "eu")]
)
def test_regions_that_cannot_be_are_refused(text: str, sentence: str) -> None:
    """An unknown region, or none that holds the table, is one sentence."""
    with pytest.raises(ConfigError, match=sentence):
        regions_of(text)


def test_cpu_is_measured_over_several_lives() -> None:
    """Work of this process shows; a process that is gone adds nothing and loses nothing."""
    meter = CpuMeter()
    meter.look({"me": os.getpid(), "gone": None})
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    meter.look({"me": os.getpid(), "gone": 2**22 + 1})
    (share,) = meter.shares()
    assert share.name == "me"
    assert 0.15 <= share.seconds < 5
    meter.look({"me": None})
    assert meter.shares() == [share]
    assert cpu_seconds(2**22 + 1) is None


@pytest.mark.parametrize(
    "text, seconds",
    [("0:01.50", 1.5), ("12:34.56", 754.56), ("01:02:03", 3723.0), ("2-00:00:01", 172_801.0), ("", None), ("?", None)],
)
def test_clocks_of_ps_are_read(text: str, seconds: float | None) -> None:
    """As Linux and macOS print them."""
    assert parse_clock(text) == seconds


def test_the_longest_pause_counts_from_the_kill() -> None:
    """What came just after the kill was under way; the pause behind it is the stall."""
    assert longest_gap(10.0, [10.1, 15.1, 15.2, 15.3]) == pytest.approx(5.0)
    assert longest_gap(10.0, [14.0, 14.1]) == pytest.approx(4.0)


def test_output_is_back_when_it_is_steady() -> None:
    """One burst of what was under way is no sign; output in both halves of the settling time is."""
    assert not is_steady([10.1], 11.5)
    assert not is_steady([10.1, 10.2], 12.5)
    assert is_steady([10.1, 15.1, 16.2], 16.9)


def test_output_that_ends_at_once_counts_as_back() -> None:
    """A backlog that is worked off in one go, after the victim was up, is output; what came before it was up is not."""
    assert is_done([10.1, 14.2], 14.0, 19.5)
    assert not is_done([10.1, 14.2], 14.0, 18.0)
    assert not is_done([10.1], 14.0, 30.0)
    assert not is_done([], 14.0, 30.0)


def test_a_stall_is_measured_on_a_victim_that_comes_back() -> None:
    """A worker that is dead for half a second stands still for about that long, and the count goes on."""
    alive, stop = threading.Event(), threading.Event()
    alive.set()
    count = [0]

    def work() -> None:
        while not stop.wait(0.01):
            count[0] += alive.is_set()

    def restart() -> None:
        time.sleep(0.5)
        alive.set()

    worker = threading.Thread(target=work)
    worker.start()
    killer = Killer([Victim("worker", 0.1, alive.clear, restart, lambda: count[0])], 1.0, lambda _: None)
    killer.start()
    killer.finish()
    stop.set()
    worker.join()
    (stall,) = killer.stalls
    assert stall.moved_after_s is not None
    assert 0.4 < stall.moved_after_s < 10
    assert "output stood still" in stall.to_line()


def test_a_victim_that_does_not_come_back_is_a_failure() -> None:
    """Its error is kept, and no stall is made up for it."""

    def fail() -> None:
        raise FatalError("it did not start", hint="")

    killer = Killer([Victim("worker", 0.0, lambda: None, fail, lambda: 0)], 1.0, lambda _: None)
    killer.start()
    killer.finish()
    assert [str(error) for error in killer.failures] == ["it did not start"]
    assert killer.stalls[0].moved_after_s is None


def test_a_group_is_behind_by_the_records_that_were_seen() -> None:
    """Markers behind the last record do not count; a partition never committed counts whole."""
    assert behind({0: 10, 1: 5}, {0: 12}) == 5
    assert behind({0: 10}, {0: 10}) == 0


def test_the_wait_for_the_drain_is_bounded_and_says_what_is_left() -> None:
    """What is left when the time is over is returned; nothing left ends the wait at once."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    assert wait_until_drained(lambda: ["audit"], 5, lambda: clock[0], sleep) == ["audit"]
    assert 5 <= clock[0] < 7
    looks = iter([["a"], ["a"], []])
    assert wait_until_drained(lambda: next(looks), 5, lambda: clock[0], sleep) == []


def test_the_last_progress_of_a_log_is_read() -> None:
    """Half a line at the end is passed over, and a log without progress says nothing."""
    progress = Progress(1.0, 400, 400.0, 0, 1.0, 2.0, 1.0, 2.0, 0.2)
    line = b'{"seconds":1.0,"writes":400,"achieved_per_s":400.0,"read_backs":0,"lateness_p50_ms":1.0,'
    line += b'"lateness_p99_ms":2.0,"call_p50_ms":1.0,"call_p99_ms":2.0,"cpu_ms_per_write":0.2}'
    assert read_progress(b"--- start\n" + line + b"\n" + line[:40]) == progress
    assert read_progress(b"--- start of workload") is None
    assert "400 writes in 1.0 s" in progress.to_line()
