"""The one wait of all tests."""

from __future__ import annotations

import time

import pytest

from feed.testing import until


def test_what_holds_is_returned_at_once() -> None:
    """The answer itself comes back, so that a test need not ask for it once more."""
    answers = iter([None, [], "found"])
    assert until(lambda: next(answers), "an answer", within_s=5) == "found"
    began = time.monotonic()
    assert until(lambda: 7, "seven")
    assert time.monotonic() - began < 10


def test_what_never_holds_is_an_error_that_says_what_was_awaited() -> None:
    """The bound is kept, the condition is asked until the end of it, and the error has the words."""
    asked: list[float] = []
    began = time.monotonic()
    with pytest.raises(AssertionError, match=r"^waited 0\.3 s for: a miracle$"):
        until(lambda: asked.append(time.monotonic()), "a miracle", within_s=0.3)
    assert asked[-1] - began >= 0.3
    assert len(asked) > 1


def test_a_bound_of_nothing_asks_once() -> None:
    """Zero seconds is a question, not a wait."""
    assert until(lambda: True, "true", within_s=0)
    with pytest.raises(AssertionError):
        until(lambda: False, "false", within_s=0)


def test_how_far_things_are_is_asked_when_the_time_is_over() -> None:
    """What is awaited may be told by a function, as late as possible."""
    seen: list[int] = []
    with pytest.raises(AssertionError, match=r"all ten, seen are [1-9]"):
        until(lambda: seen.append(1), lambda: f"all ten, seen are {len(seen)}", within_s=0.05)


def test_an_error_of_the_condition_passes_through() -> None:
    """A wait does not hide what is broken."""
    with pytest.raises(ZeroDivisionError):
        until(lambda: 1 / 0, "nothing")
