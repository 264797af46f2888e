"""A demo from beginning to end, with its clean-up, and what is printed of it."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn

from rich.console import Console

from feed.demo.estate import Estate
from feed.demo.plan import DemoPlan
from feed.demo.run import Demo, Outcome
from feed.demo.show import Show
from feed.verify.report import tables


def run_demo(plan: DemoPlan, console: Console) -> Outcome:
    """Set up, run, verify, print, clean up.

    Raises:
        FeedError: a part did not come up, or this machine lacks something.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after everything has been stopped.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    show = Show(console)
    with Estate(plan, show.say) as estate:
        estate.start()
        outcome = Demo(estate, show).run()
        for stall in outcome.stalls:
            show.say(stall.to_line())
        for renderable in tables(outcome.verdict):
            console.print(renderable)
        for reason in outcome.reasons():
            console.print(f"DEMO FAILED: {reason}", style="bold red", markup=False, highlight=False)
        show.say("stopping everything")
    return outcome


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
