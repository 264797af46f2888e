"""What all parts of one consumer share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from consumers.runtime.client import Broker
from consumers.runtime.metrics import ConsumerMetrics
from consumers.runtime.settings import RuntimeSettings


@dataclass(frozen=True, slots=True)
class Wiring:
    """One member of one group on one topic, and what it takes from the process it runs in."""

    topic: str
    group: str
    broker: Broker
    settings: RuntimeSettings
    metrics: ConsumerMetrics
    now_ms: Callable[[], int]
    random: Callable[[], float]
    """From 0 to below 1, for jitter."""
