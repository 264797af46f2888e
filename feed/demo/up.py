"""``feed up``, ``feed down`` and ``feed status``: a feed that stays, for someone to play with."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from feed.demo.live import Row, Snapshot, consumer_row, producer_row, render
from feed.demo.metrics import parse
from feed.demo.plan import AWS_REGIONS, CONSUMER_REGIONS, HOME, DemoPlan
from feed.demo.running import Running
from feed.demo.scrape import Reading, fetch
from schemas.errors import FatalError

START_BOUND_S: Final = 600.0
"""How long ``feed up`` waits, the first download of jars and packages included."""

POLL_S: Final = 0.2


def start(plan: DemoPlan, running: Running, say: Callable[[str], None]) -> dict[str, Any]:
    """Start the keeper, pass on what it says, and return the description when everything is at work.

    Raises:
        ConfigError: it runs already.
        FatalError: it ended, or is not up within :data:`START_BOUND_S`; it is stopped then.
    """
    with running.hold():
        pass  # refuse early, with a sentence of our own, when one is up
    arguments = ["--regions", ",".join(plan.regions)]
    arguments += ["--no-delay"] if not plan.delay else []
    arguments += [] if plan.replica_delay_ms is None else ["--replica-delay-ms", str(plan.replica_delay_ms)]
    arguments += ["--data", str(plan.data_dir.resolve())] if plan.data_dir else []
    with running.log.open("wb") as log:
        keeper = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "feed.demo.keeper", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return _wait(keeper, running, say)
    except BaseException:
        running.stop()
        raise


def _wait(keeper: subprocess.Popen[bytes], running: Running, say: Callable[[str], None]) -> dict[str, Any]:
    until_s = time.monotonic() + START_BOUND_S
    told = 0
    while time.monotonic() < until_s:
        ended = keeper.poll() is not None
        lines = running.log.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines[told:]:
            if line != "up":
                say(line)
        told = len(lines)
        if running.file.exists():
            return running.read()
        if ended:
            raise FatalError("the feed did not come up", hint=f"what it said is above, and in {running.log}")
        time.sleep(POLL_S)
    raise FatalError(f"the feed is not up after {START_BOUND_S:.0f} s", hint=f"see {running.log}")


def addresses(description: Mapping[str, Any], file: Path) -> list[str]:
    """Every address, for a person."""
    lines = [f"kafka {region:<8} {told['bootstrap_servers']}" for region, told in description["regions"].items()]
    lines += [f"{name:<14} {url}" for name, url in description["endpoints"].items()]
    lines += [f"{name:<14} {url}" for name, url in description["metrics"].items()]
    return [
        *lines,
        f"{'configuration':<14} {description['config']}",
        f"{'logs':<14} {description['log_dir']}",
        f"{'all of it':<14} {file}",
    ]


def status(description: Mapping[str, Any]) -> tuple[list[RenderableType], bool]:
    """What runs, how far it is, and whether all is well; asks every process once."""
    rows: list[Row] = []
    red: list[str] = []
    for name, url in description["metrics"].items():
        port = int(url.rpartition(":")[2].partition("/")[0])
        text = fetch(port, "/metrics")
        reading = Reading()
        if text is not None:
            reading.take(parse(text))
        rows.append(_row(name, reading))
        if text is None:
            red.append(f"{name} does not answer; its log is {description['parts'][name]['log']}")
        elif fetch(port, "/healthz") is None:
            red.append(f"{name} is not healthy: curl {url.removesuffix('metrics')}healthz")
    dead = [name for name, part in description["parts"].items() if not _lives(part["pid"])]
    red += [f"{name} does not run; its log is {description['parts'][name]['log']}" for name in dead]
    rows.sort(key=lambda row: list(AWS_REGIONS).index(row.region))
    table = render(Snapshot("the feed is up", f"logs: {description['log_dir']}", rows))
    return [table, *(Text(line, style="red") for line in red)], not red


def parts_table(description: Mapping[str, Any]) -> Table:
    """Every part with its process."""
    table = Table(title="parts", title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for column in ("part", "pid", "address"):
        table.add_column(column, overflow="fold")
    for name, part in description["parts"].items():
        address = ", ".join(part["addresses"].values())
        table.add_row(name, str(part["pid"] or "-"), address)
    return table


def _row(name: str, reading: Reading) -> Row:
    if name == "producer":
        return producer_row(HOME, reading)
    return consumer_row(CONSUMER_REGIONS[name], name, reading)


def _lives(pid: int | None) -> bool:
    if pid is None:
        return False
    return subprocess.run(["/bin/ps", "-p", str(pid)], capture_output=True, check=False).returncode == 0  # noqa: S603


def print_up(description: Mapping[str, Any], running: Running, console: Console) -> None:
    """What ``feed up`` says at the end."""
    for line in addresses(description, running.file):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    console.print("`feed status` shows how it is doing, `feed down` stops it.", highlight=False)
