"""Which keys each part of MirrorMaker reads, by Kafka version: read from Kafka's own classes (3.7 to 4.3).

``known_keys.json`` holds, for each part, spans such as ``"..3.9"`` (until 3.9), ``"4.1.."`` (since 4.1) or ``".."``
(all), and the keys of each. A test reads them from the jars again.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from schemas.errors import ConfigError

PARTS = (
    "source",
    "checkpoint",
    "heartbeat",
    "connector",
    "client",
    "mirrormaker",
    "producer",
    "consumer",
    "admin",
    "worker",
)


@dataclass(frozen=True, order=True)
class KafkaVersion:
    """Major and minor; patches do not change keys."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def parse(cls, text: str) -> KafkaVersion:
        """``4.3``, ``4.3.1`` or ``3.7.x`` as a version.

        Raises:
            ConfigError: it is none.
        """
        match = re.fullmatch(r"(\d+)\.(\d+)(?:\.(?:\d+|x))?", text)
        if not match:
            raise ConfigError(f"'{text}' is no version of Kafka.", hint="Write it like 4.3.")
        return cls(int(match[1]), int(match[2]))


LATEST = KafkaVersion(4, 3)


@dataclass(frozen=True)
class KnownKeys:
    """The keys of one Kafka version, by part."""

    version: KafkaVersion
    by_part: dict[str, frozenset[str]]

    def of(self, *parts: str) -> frozenset[str]:
        """All keys of these parts."""
        return frozenset().union(*(self.by_part[part] for part in parts))

    @property
    def connectors(self) -> frozenset[str]:
        """What any of the three connectors defines: MirrorMaker passes these on from the top level, and no others."""
        return self.of("source", "checkpoint", "heartbeat")


@cache
def known_keys(version: KafkaVersion = LATEST) -> KnownKeys:
    """What is read in this version; a version before the first or after the last known one counts as that one."""
    by_part = {
        part: frozenset(key for span, keys in spans.items() if _covers(span, version) for key in keys)
        for part, spans in _spans().items()
    }
    return KnownKeys(version, by_part)


@cache
def last_version_of(key: str) -> KafkaVersion | None:
    """The last version that reads a key, for a key that has left; None when it is still read, or never was."""
    for spans in _spans().values():
        for span, keys in spans.items():
            end = span.split("..")[1]
            if end and key in keys:
                return KafkaVersion.parse(end)
    return None


def nearest(key: str, candidates: Iterable[str]) -> str:
    """The known key that was probably meant; empty when none is near."""
    found = difflib.get_close_matches(key, sorted(candidates), n=1, cutoff=0.8)
    return found[0] if found else ""


@cache
def _spans() -> dict[str, dict[str, tuple[str, ...]]]:
    text = resources.files("mirrormaker.doctor").joinpath("known_keys.json").read_text(encoding="utf-8")
    return {part: {span: tuple(keys) for span, keys in spans.items()} for part, spans in json.loads(text).items()}


def _covers(span: str, version: KafkaVersion) -> bool:
    start, end = span.split("..")
    begins = KafkaVersion.parse(start) if start else KafkaVersion(0, 0)
    ends = KafkaVersion.parse(end) if end else KafkaVersion(99, 0)
    pinned = max(KafkaVersion(3, 7), min(version, LATEST))
    return begins <= pinned <= ends
