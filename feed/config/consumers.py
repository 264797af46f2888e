"""The consumers that a feed can have: each a kind of sink, in a region, with the settings of both."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from consumers.archive.settings import ArchiveSettings
from consumers.audit.settings import AuditSettings
from consumers.runtime import RuntimeSettings
from feed.config.models import Name
from schemas.settings import Settings


class ConsumerSection(Settings):
    """What every consumer has. Its group is ``<feed>.<its name>``."""

    region: Name
    """The region whose topic it reads, and whose AWS services it uses."""
    runtime: RuntimeSettings = RuntimeSettings()
    """How it fetches, retries and commits."""


class AuditConsumer(ConsumerSection):
    """Keeps every change immutably."""

    kind: Literal["audit"]
    """Which sink it is."""
    sink: AuditSettings
    """What the sink does."""


class ArchiveConsumer(ConsumerSection):
    """Keeps every change for replay, by event time."""

    kind: Literal["archive"]
    """Which sink it is."""
    sink: ArchiveSettings
    """What the sink does."""


AnyConsumer = Annotated[AuditConsumer | ArchiveConsumer, Field(discriminator="kind")]
