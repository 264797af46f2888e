"""What a demo consists of: what the options of ``feed demo`` and ``feed up`` come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from feed.workload import WorkloadSettings
from schemas.errors import ConfigError

FEED: Final = "orders"
"""Name of the feed, and of its table."""

HOME: Final = "eu"
"""The region of the table."""

AWS_REGIONS: Final = {"eu": "eu-west-1", "us": "us-east-1", "ap": "ap-southeast-2"}
"""The regions that a demo can have."""

CONSUMER_REGIONS: Final = {
    "warehouse": "us",
    "audit": "eu",
    "notification": "eu",
    "archive": "eu",
    "analytics": "ap",
}
"""The consumers, and where each works."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """One demo."""

    regions: tuple[str, ...] = ("eu", "us", "ap")
    workload: WorkloadSettings = field(default_factory=WorkloadSettings)
    kill: bool = False
    """Kill -9 the producer, one MirrorMaker and the warehouse consumer once each, and start them again."""
    delay: bool = True
    """Put the round trip of the real distance between the regions."""
    drain_bound_s: float = 90.0
    """How long, after the last write, everything may take to arrive everywhere."""
    replica_delay_ms: int | None = None
    """A stand-in for a global table copies the table to the warehouse's region, so much later, and the warehouse looks
    each order up there; None: neither, since on one machine both take CPU from what is measured."""
    data_dir: Path | None = None
    """Keep the state there; without, it is deleted at the end."""

    @property
    def consumers(self) -> tuple[str, ...]:
        """Those whose region takes part."""
        return tuple(name for name, region in CONSUMER_REGIONS.items() if region in self.regions)


def regions_of(text: str) -> tuple[str, ...]:
    """``eu,us,ap`` or a part of it, the home region first.

    Raises:
        ConfigError: a region is not known, or the home region is left out.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in AWS_REGIONS]
    if unknown or HOME not in names:
        wrong = f"no region {unknown[0]!r}" if unknown else f"region {HOME}, which holds the table, is left out"
        raise ConfigError(f"--regions {text}: {wrong}", hint=f"a list of {', '.join(AWS_REGIONS)} with {HOME} in it")
    return (HOME, *(name for name in names if name != HOME))
