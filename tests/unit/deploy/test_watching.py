"""What `deploy/` watches, against the metrics that the code has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Metric

from connectors.telemetry import Telemetry
from consumers.analytics.loader import AnalyticsMetrics
from consumers.archive.writer import ArchiveMetrics
from consumers.audit.sink import AuditMetrics
from consumers.runtime.metrics import ConsumerMetrics
from feed.run.control_store import ControlSeries
from mirrormaker.audit.run import AuditMetrics as CopyMetrics
from mirrormaker.status.watch import StatusWatch
from producers.stream.metrics import Families

ROOT = Path(__file__).parents[3]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text(encoding="utf-8"))
QUERIES = [(panel["title"], target) for panel in DASHBOARD["panels"] for target in panel["targets"]]
SCRAPED = {"instance", "job"}
"""Labels that Prometheus itself adds to whatever it scrapes."""

BY_HAND = {"feed_notifications_total": {"status", "outcome"}}
"""A metric whose class wants a whole sink: its labels stand here, and the next test reads them in the code."""


def of_the_code() -> dict[str, set[str]]:
    """Each series' name as Prometheus shows it → the labels that it has besides."""
    telemetry = Telemetry("any")
    registry = telemetry.registry
    ConsumerMetrics("any", registry)
    Families(registry)
    AnalyticsMetrics(registry)
    CopyMetrics(registry)
    StatusWatch(registry, telemetry.health, stall_after_ms=1)
    beside = CollectorRegistry()
    for kind in (AuditMetrics, ArchiveMetrics):
        kind(registry)
        kind(beside)
    registry.register(ControlSeries(beside))
    found = dict(BY_HAND)
    for collector in list(registry._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()))
        for family in collector.collect():
            for name in series_of(family):
                found[name] = labels | {label for sample in family.samples for label in sample.labels} - {"le"}
    return found


def series_of(family: Metric) -> list[str]:
    """The series of a family."""
    if family.type == "histogram":
        return [f"{family.name}_{part}" for part in ("bucket", "sum", "count")]
    return [f"{family.name}_total" if family.type == "counter" else family.name]


CODE = of_the_code()


def check(expression: str) -> set[str]:
    """Its metrics are in the code, with the labels that it asks for; returns the labels that a result may have."""
    named = set(re.findall(r"\b((?:feed|process)_[a-z_]+)\b", expression))
    assert named, expression
    assert named <= CODE.keys(), named - CODE.keys()
    labels = set().union(*(CODE[name] for name in named)) | SCRAPED
    for asked in re.findall(r"(?:by|on|group_left) \(([^)]*)\)", expression):
        assert {label.strip() for label in asked.split(",")} <= labels | {"le"}, expression
    for matchers in re.findall(r"\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)(?:!?=|=~|!~)", matchers)) <= labels, expression
    return labels


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    """Its metrics and labels exist, its words use labels of the result, and the operations page says what to do."""
    labels = check(rule["expr"])
    assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= labels
    assert rule["labels"]["severity"] in {"page", "warn"}
    assert f"`{rule['alert']}`" in OPERATIONS


@pytest.mark.parametrize("title, target", QUERIES, ids=[f"{title} {t['refId']}" for title, t in QUERIES])
def test_a_panel_asks_for_what_there_is(title: str, target: dict[str, Any]) -> None:
    """Its metrics and labels exist, and its legend uses labels of the result."""
    labels = check(target["expr"])
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels, title


def test_what_was_written_by_hand_is_in_the_code() -> None:
    """The notifications' metric has its name and labels, and the outcome that an alert looks for."""
    text = (ROOT / "consumers/notification/sink.py").read_text(encoding="utf-8")
    assert '"feed_notifications_total"' in text
    assert '["status", "outcome"]' in text
    assert '"flagged"' in text


def test_a_metric_that_is_not_there_is_found() -> None:
    """The check can fail: by a name, by a label."""
    for expression in ("feed_consumer_lag_minutes > 1", "sum by (shop) (feed_up)", 'feed_up{colour="red"}'):
        with pytest.raises(AssertionError):
            check(expression)


def test_the_page_tells_no_alert_that_is_not_there() -> None:
    """Alerts named in the operations page exist."""
    told = set(re.findall(r"`(Feed[A-Z]\w+)`", OPERATIONS))
    assert told == {rule["alert"] for rule in RULES}
