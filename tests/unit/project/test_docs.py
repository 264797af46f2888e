"""The documents say what is true of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from consumers.analytics.loader import AnalyticsMetrics
from consumers.archive.writer import ArchiveMetrics
from consumers.audit.sink import AuditMetrics
from consumers.runtime.metrics import ConsumerMetrics
from producers.stream.metrics import Families as ProducerMetrics

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
STEP = re.compile(r"`((?:connectors|producers|consumers|mirrormaker|schemas|feed)/[\w/]+\.py)(?::(\w+))?`")
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_function_that_a_document_names_exists(document: Path) -> None:
    """`file.py:function` in the documents is a file of the project with a function of that name."""
    for name, function in STEP.findall(document.read_text(encoding="utf-8")):
        file = ROOT / name
        assert file.exists(), f"{document.name} names {name}"
        if function:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert function in functions, f"{document.name} names {name}:{function}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    """A link to a file of the project names one that is there."""
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_way_of_a_change_is_told_in_steps() -> None:
    """The design names at least a function for each step of the way."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    assert len(STEP.findall(text)) > 20


def test_every_metric_of_the_processes_stands_in_the_operations_page() -> None:
    """Each metric that a producer or a consumer registers is explained in docs/operations.md."""
    told = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    missing = sorted(name for name in registered_metrics() if f"`{name}`" not in told)
    assert missing == []


def registered_metrics() -> set[str]:
    """Metrics by the names that Prometheus shows, from registries that the processes' own classes filled."""
    registry = CollectorRegistry()
    ConsumerMetrics("any", registry)
    ProducerMetrics(registry)
    AuditMetrics(registry)
    ArchiveMetrics(registry)
    AnalyticsMetrics(registry)
    return {family.name + ("_total" if family.type == "counter" else "") for family in registry.collect()}
