"""The table of attacks in docs/stores.md names tests that exist, and statuses that there are."""

from __future__ import annotations

import re
from pathlib import Path

from consumers.audit import Status

ROOT = Path(__file__).parents[3]
STORES = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(test_\w+)`")


def test_every_attack_has_its_test() -> None:
    """Each row of the table names at least one test, and each is a function of the tests."""
    table = STORES.partition("### What someone with write rights")[2].partition("###")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(rows) > 20
    assert [row for row in rows if not TEST.search(row.rpartition("|")[0])] == []
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in TEST.findall(STORES) if f"def {name}(" not in text] == []


def test_every_status_is_explained() -> None:
    """The page has each status that a verification can give."""
    assert [status for status in Status if f"`{status}`" not in STORES] == []
