"""Prometheus's text format, as much of it as the live table needs. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

_SAMPLE: Final = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL: Final = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')

OF_CONTROL: Final = "-control"
"""How the sink of a control topic ends, beside the one of the changes (``audit``, ``audit-control``)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: a value with its labels."""

    labels: Mapping[str, str]
    value: float


@dataclass(slots=True)
class Samples:
    """All samples of a scrape, by name."""

    by_name: dict[str, list[Sample]] = field(default_factory=dict)

    def total(self, name: str) -> float:
        """The sum over all labels; 0 when there is none."""
        return sum(sample.value for sample in self.by_name.get(name, ()))

    def largest(self, name: str) -> float:
        """The greatest over all labels; 0 when there is none."""
        return max((sample.value for sample in self.by_name.get(name, ())), default=0.0)

    def by_label(self, name: str, label: str) -> dict[str, float]:
        """The sum for each value of a label."""
        sums: dict[str, float] = {}
        for sample in self.by_name.get(name, ()):
            sums[sample.labels[label]] = sums.get(sample.labels[label], 0.0) + sample.value
        return sums

    def buckets(self, name: str) -> dict[float, float]:
        """A histogram's cumulative counts by upper bound, summed over all other labels."""
        counts: dict[float, float] = {}
        for sample in self.by_name.get(f"{name}_bucket", ()):
            bound = float(sample.labels["le"])
            counts[bound] = counts.get(bound, 0.0) + sample.value
        return counts


def parse(text: str, prefix: str = "feed_") -> Samples:
    """Every sample whose name begins with ``prefix``; other lines are passed over, whatever they are.

    So are the series of a store's control topic, which the same process serves: its events are no changes.
    """
    samples = Samples()
    for line in text.splitlines():
        if not line.startswith(prefix):
            continue
        match = _SAMPLE.match(line)
        if match is None:
            continue
        name, labels, value = match.groups()
        try:
            number = float(value)
        except ValueError:
            continue
        told = dict(_LABEL.findall(labels or ""))
        if not told.get("sink", "").endswith(OF_CONTROL):
            samples.by_name.setdefault(name, []).append(Sample(told, number))
    return samples


def quantile(buckets: Mapping[float, float], share: float) -> float:
    """The value below which ``share`` of the observations lie, between two bounds by straight line.

    NaN without observations; the highest finite bound when it lies above all of them.
    """
    bounds = sorted(buckets)
    if not bounds or buckets[bounds[-1]] <= 0:
        return math.nan
    wanted = share * buckets[bounds[-1]]
    below, lower = 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= wanted:
            if math.isinf(bound):
                return lower
            inside = count - below
            return bound if inside <= 0 else lower + (bound - lower) * (wanted - below) / inside
        below, lower = count, bound
    return lower


def difference(now: Mapping[float, float], then: Mapping[float, float]) -> dict[float, float]:
    """What was observed between two scrapes; a process that started anew begins at nothing."""
    if any(now.get(bound, 0.0) < count for bound, count in then.items()):
        return dict(now)
    return {bound: count - then.get(bound, 0.0) for bound, count in now.items()}


def merge(histograms: Iterable[Mapping[float, float]]) -> dict[float, float]:
    """Several histograms with the same bounds as one."""
    merged: dict[float, float] = {}
    for histogram in histograms:
        for bound, count in histogram.items():
            merged[bound] = merged.get(bound, 0.0) + count
    return merged
