"""The sink that docs/sinks.md shows is complete: it runs as it stands there."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from consumers.runtime import MemoryBroker
from feed.testing import until
from schemas.bundled import load
from schemas.codec import ChangeCodec
from tests.unit.order_changes import life

DOCUMENT = Path("docs/sinks.md")


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", DOCUMENT.read_text(encoding="utf-8")))))
def test_every_test_that_the_document_names_exists(name: str) -> None:
    """What the document says of odd input is proven by tests of those names."""
    named = re.compile(rf"def {name}\(")
    assert any(named.search(file.read_text(encoding="utf-8")) for file in Path("tests").rglob("*.py"))


def test_the_documents_sink_runs() -> None:
    """The text's class, given changes by the text's own wiring, acts once and survives a display that sleeps."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 32, "a complete sink should fit 30 lines"
    namespace: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENT), "exec"), namespace)
    codec = ChangeCodec.for_image(load("order"))
    topic = MemoryBroker("orders")
    for change in (*life("created", "packed"), *life("created", "packed")):
        topic.put(b"o-1", codec.encode(change))
    shown: list[str] = []
    asleep = [TimeoutError("zzz")]

    def display(text: str) -> None:
        if asleep:
            raise asleep.pop()
        shown.append(text)

    stop = threading.Event()
    thread = threading.Thread(target=namespace["run"], args=(display, topic, codec, stop))
    thread.start()
    try:
        until(lambda: topic.committed("orders.shelf") == 4, "a commit of everything")
    finally:
        stop.set()
        thread.join(30)
    assert shown == ["o-1 is packed"]
