"""The documented settings are the settings."""

from __future__ import annotations

from pathlib import Path

from feed.config.reference import BEGIN, END, settings_tables, with_tables

DOCUMENT = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_every_setting_stands_in_the_documentation() -> None:
    """docs/configuration.md holds exactly what the settings' classes say; `make docs` writes it anew."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == with_tables(text)


def test_every_setting_has_a_meaning() -> None:
    """No row of the reference has an empty last cell."""
    empty = [line for line in settings_tables().splitlines() if line.startswith("| `") and line.endswith("|  |")]
    assert empty == []


def test_only_what_stands_between_the_markers_is_written() -> None:
    """The prose around the tables is kept."""
    written = with_tables(f"before\n{BEGIN}\nWRITTEN-BEFORE\n{END}\nafter")
    assert written.startswith("before\n")
    assert written.endswith("\nafter")
    assert "WRITTEN-BEFORE" not in written
