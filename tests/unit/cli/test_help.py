"""Every command explains itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from feed.cli import app
from feed.cli.app import main


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


def test_a_missing_extra_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the extra `local`, the demo says what to install; a module that is nobody's extra stays a bug."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    for module in [name for name in sys.modules if name.startswith(("feed.demo", "feed.local.data_api"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "argv", ["feed", "demo", "--seconds", "1"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert (ended.value.code, "duckdb" in said, "changefeed[local]" in said) == (2, True, True)
    monkeypatch.setattr(sys.modules["feed.cli.app"], "EXTRAS", {})
    with pytest.raises(ModuleNotFoundError):
        main()
