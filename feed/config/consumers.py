"""The consumers that a feed can have: each a kind of sink, in a region, with the settings of both."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from connectors.redshift import RedshiftSettings
from consumers.analytics.settings import AnalyticsSettings
from consumers.archive.settings import ArchiveSettings
from consumers.audit.settings import AuditSettings
from consumers.notification.settings import NotificationSettings
from consumers.runtime import RuntimeSettings
from consumers.warehouse.settings import WarehouseSettings
from feed.config.models import Name
from schemas.settings import Settings

RAW_PREFETCH: Final = 10_000
"""Records fetched ahead for a store of raw records: with a dozen headers each takes 2 KB, and its own buffers matter
more."""


class ConsumerSection(Settings):
    """What every consumer has. Its group is ``<feed>.<its name>``."""

    region: Name
    """The region whose topic it reads, and whose AWS services it uses."""
    runtime: RuntimeSettings = RuntimeSettings()
    """How it fetches, retries and commits."""


class WarehouseConsumer(ConsumerSection):
    """Starts, updates and cancels picks."""

    kind: Literal["warehouse"]
    """Which sink it is."""
    sink: WarehouseSettings = WarehouseSettings()
    """What the sink does."""


class NotificationConsumer(ConsumerSection):
    """Tells customers of status changes."""

    kind: Literal["notification"]
    """Which sink it is."""
    sink: NotificationSettings
    """What the sink does."""


class AuditConsumer(ConsumerSection):
    """Keeps every change immutably."""

    kind: Literal["audit"]
    """Which sink it is."""
    runtime: RuntimeSettings = RuntimeSettings(prefetch_records=RAW_PREFETCH)
    """How it fetches, retries and commits; without this section with a quarter of the prefetch."""
    sink: AuditSettings
    """What the sink does."""


class ArchiveConsumer(ConsumerSection):
    """Keeps every change for replay, by event time."""

    kind: Literal["archive"]
    """Which sink it is."""
    runtime: RuntimeSettings = RuntimeSettings(prefetch_records=RAW_PREFETCH)
    """How it fetches, retries and commits; without this section with a quarter of the prefetch."""
    sink: ArchiveSettings
    """What the sink does."""


class AnalyticsConsumer(ConsumerSection):
    """Loads every change into the data warehouse."""

    kind: Literal["analytics"]
    """Which sink it is."""
    warehouse: RedshiftSettings
    """Where the data warehouse is."""
    sink: AnalyticsSettings
    """What the sink does."""


AnyConsumer = Annotated[
    WarehouseConsumer | NotificationConsumer | AuditConsumer | ArchiveConsumer | AnalyticsConsumer,
    Field(discriminator="kind"),
]

TAKES_NO_REPLAY: Final = {
    "notification": "it tells customers, and a replay would tell them about the past: its sink passes replays over, "
    "whoever wires it",
    "audit": "it holds the changes as they came, chained by the offsets of the live topic, and a replay adds none",
    "archive": "it is what a replay is made from",
    "analytics": "its ledger counts the offsets of the live topic, and holds its place there",
}
"""Kinds of consumers that take no replay, and why."""

_MOVE_ON: Final = "`kafka-consumer-groups.sh --reset-offsets --to-earliest` moves the group on, knowing that"

WHEN_LAPSED: Final = {
    "notification": f"customers were not told of these changes: {_MOVE_ON}",
    "audit": "the audit log will have a hole, which `feed audit verify` names (the archive may have what it lacks): "
    f"{_MOVE_ON}",
    "archive": "the archive will have a hole, which `feed archive verify` names (the audit log may have them): "
    f"{_MOVE_ON}",
    "analytics": "set next_offset of this partition in load_ledger to where the topic begins and start again, then "
    "`feed snapshot` reloads the current state; what the history lacks is in the archive",
}
"""What a person can do when retention was faster than a consumer of a kind that takes no replay. Nothing was skipped or
committed."""
