"""What a stack of local parts consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# between Ireland and North Virginia, and between Ireland and Sydney
ROUND_TRIPS_MS: Mapping[str, float] = {"us": 75.0, "ap": 260.0}


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What a stack consists of."""

    regions: tuple[str, ...] = ("eu", "us", "ap")
    """The first is the home region: the producer writes there, the others are mirrored from it."""

    feeds: tuple[str, ...] = ("orders",)
    """The feeds whose topics are mirrored."""

    round_trips_ms: Mapping[str, float] = field(default_factory=lambda: ROUND_TRIPS_MS)
    """From the home region to each other one, in milliseconds; a region that is not named is near."""

    broker_properties: Mapping[str, str] = field(default_factory=dict)
    """More properties of every broker."""

    mirrors: bool = True
    """MirrorMaker runs, one process for each target region."""

    dynamodb: bool = True
    """DynamoDB Local runs."""

    dynamodb_on_disk: bool = False
    """DynamoDB Local keeps its tables in a file, so that shards can be rolled; always so with a data folder."""

    object_store: bool = True
    """The S3 server runs."""

    ministack: bool = True
    """SES, SNS and SQS run."""
