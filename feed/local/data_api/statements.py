"""What the Data API remembers of a statement."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Refused(Exception):  # noqa: N818 - it is an answer of the service, quoted to the client
    """The service says no, in its own words."""


class Busy(Exception):  # noqa: N818 - as above
    """As many statements are active as the service takes."""


class Status(StrEnum):
    """States as the Data API names them."""

    SUBMITTED = "SUBMITTED"
    PICKED = "PICKED"
    STARTED = "STARTED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"


@dataclass(slots=True)
class Rows:
    """A result."""

    columns: list[tuple[str, str]]
    """Name and type of each column."""
    values: list[tuple[Any, ...]]


@dataclass(slots=True)
class SubStatement:
    """One SQL statement of a batch."""

    id: str
    sql: str
    status: Status = Status.SUBMITTED
    error: str = ""
    rows: Rows | None = None


@dataclass(slots=True)
class Statement:
    """What one ExecuteStatement or BatchExecuteStatement started."""

    id: str
    subs: list[SubStatement]
    batch: bool
    target: dict[str, str]
    """WorkgroupName, ClusterIdentifier, Database, … as they were given."""
    created_at: float
    status: Status = Status.SUBMITTED
    error: str = ""
    updated_at: float = 0.0
    duration_ns: int = 0
    cancelled: bool = False
    done: threading.Event = field(default_factory=threading.Event)
