"""The processes and commands that get rights of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from feed.config import FeedConfig
from feed.config.consumers import AnyConsumer
from schemas.errors import ConfigError

Kind = Literal["producer", "snapshot", "topics", "look", "consumer", "mirror-watch", "mirror-audit"]


@dataclass(frozen=True, slots=True)
class OfProcess:
    """Whose rights are told.

    Attributes:
        name: as it is asked for, and the file is named: ``producer``, ``consumer-audit``, …
        kind: which rule tells its rights.
        consumer: the consumer's name in ``feed.yaml``, where it is one.
        section: its settings.
        target: the copy's region, where it looks at one.
    """

    name: str
    kind: Kind
    consumer: str = ""
    section: AnyConsumer | None = None
    target: str = ""

    @property
    def command(self) -> str:
        """What it runs."""
        return " ".join(filter(None, (MEANING[self.kind], self.consumer, self.target)))


MEANING: dict[Kind, str] = {
    "producer": "feed run producer",
    "snapshot": "feed snapshot",
    "topics": "feed topics plan, feed topics apply",
    "look": "feed gaps, feed slots show, feed dead-letters list and show",
    "consumer": "feed run consumer",
    "mirror-watch": "feed mirror watch --region",
    "mirror-audit": "feed mirror audit --region",
}


def processes(config: FeedConfig) -> dict[str, OfProcess]:
    """All of a feed, by name."""
    alone: tuple[Kind, ...] = ("producer", "snapshot", "topics", "look")
    beside_mirrors: tuple[Kind, ...] = ("mirror-watch", "mirror-audit")
    found = [OfProcess(kind, kind) for kind in alone]
    found += [OfProcess(f"consumer-{name}", "consumer", name, section) for name, section in config.consumers.items()]
    for kind in beside_mirrors:
        found += [OfProcess(f"{kind}-{one.target}", kind, target=one.target) for one in config.mirrors]
    return {process.name: process for process in found}


def process_names(config: FeedConfig) -> tuple[str, ...]:
    """Their names, in the order in which they are told."""
    return tuple(processes(config))


def process_named(config: FeedConfig, name: str) -> OfProcess:
    """One of them.

    Raises:
        ConfigError: there is none of that name.
    """
    known = processes(config)
    if name not in known:
        raise ConfigError(f"there is no process {name!r} of feed {config.feed}", hint=f"known: {', '.join(known)}")
    return known[name]
