"""Every command explains itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from feed.cli import app


def commands(command: Any, name: str = "feed") -> Iterator[tuple[str, Any]]:
    """All commands below a group, by the words that call them (typer brings its own click: no types to ask for)."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for part, inner in below.items():
        yield from commands(inner, f"{name} {part}")


ALL = dict(commands(typer.main.get_command(app)))


def test_the_commands_are_found() -> None:
    """The list that the next test walks is the whole command."""
    assert {"feed demo", "feed up", "feed down", "feed status", "feed verify", "feed run consumer"} <= ALL.keys()


@pytest.mark.parametrize("name", ALL)
def test_a_command_says_what_it_does_with_an_example(name: str) -> None:
    """The help has a sentence, an example with the command itself in it, and a meaning for every option."""
    command = ALL[name]
    assert command.help
    assert name in (command.epilog or ""), f"{name} has no example"
    options = [param for param in command.params if param.param_type_name == "option"]
    assert [option.name for option in options if not option.help] == []
