"""The rules, one module for each theme. ``ALL`` is what the doctor applies, in the order of their codes."""

from __future__ import annotations

from mirrormaker.doctor.rule import Rule
from mirrormaker.doctor.rules import (
    clients,
    copying,
    exactly_once,
    groups,
    lines,
    security,
    strimzi,
    topic_configs,
    versions,
    worker,
)

ALL: tuple[Rule, ...] = tuple(
    sorted(
        (
            *lines.RULES,
            *exactly_once.RULES,
            *worker.RULES,
            *copying.RULES,
            *topic_configs.RULES,
            *groups.RULES,
            *clients.RULES,
            *security.RULES,
            *strimzi.RULES,
            *versions.RULES,
        ),
        key=lambda rule: rule.code,
    )
)

__all__ = ["ALL"]
