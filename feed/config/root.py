"""``feed.yaml`` as a whole, and the rules that hold between its sections."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from feed.config.consumers import AnyConsumer
from feed.config.models import (
    MirrorSettings,
    Name,
    RegionSettings,
    SchemaSettings,
    TableSettings,
    TelemetrySettings,
    TopicSettings,
)
from producers.replay.settings import ReplaySettings
from producers.snapshot import SnapshotSettings
from producers.stream import ProducerSettings
from schemas.settings import Settings


class FeedConfig(Settings):
    """A whole ``feed.yaml``."""

    feed: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,60}$")]
    """The feed's name: its topic, and the prefix of its other topics, groups and transactional ids."""
    table: TableSettings
    """The table that is read."""
    topic: TopicSettings = TopicSettings()
    """The topic of changes."""
    regions: Annotated[dict[Name, RegionSettings], Field(min_length=1)]
    """Regions by a short name of your own (``eu``, ``us``, ``ap``)."""
    mirrors: tuple[MirrorSettings, ...] = ()
    """Flows of MirrorMaker 2, each from the table's region."""
    producer: ProducerSettings = ProducerSettings()
    """How the stream is read and published."""
    snapshot: SnapshotSettings = SnapshotSettings()
    """How a first load or a reload works."""
    replay: ReplaySettings = ReplaySettings()
    """How archived changes are sent once more."""
    consumers: dict[Name, AnyConsumer] = Field(default_factory=dict)
    """Consumers by a name of your own; a kind may be there twice."""
    schemas: SchemaSettings = SchemaSettings()
    """How events are written."""
    telemetry: TelemetrySettings = TelemetrySettings()
    """Where each process serves its metrics and health."""

    @model_validator(mode="after")
    def _regions_exist(self) -> FeedConfig:
        known = ", ".join(sorted(self.regions))
        if self.table.region not in self.regions:
            raise ValueError(f"table.region {self.table.region!r} is not one of regions ({known})")
        for number, mirror in enumerate(self.mirrors):
            if mirror.target not in self.regions:
                raise ValueError(f"mirrors[{number}].target {mirror.target!r} is not one of regions ({known})")
            if mirror.target == self.table.region:
                raise ValueError(f"mirrors[{number}].target {mirror.target!r} is the table's own region")
        for name, consumer in self.consumers.items():
            if not self.has_topic(consumer.region):
                having = ", ".join(region for region in sorted(self.regions) if self.has_topic(region))
                raise ValueError(
                    f"consumers.{name}.region {consumer.region!r} has no topic of the feed (those with one: {having})"
                )
        targets = [mirror.target for mirror in self.mirrors]
        if len(set(targets)) != len(targets):
            raise ValueError("mirrors: a target is named twice; its copy would hold everything twice")
        return self

    @model_validator(mode="after")
    def _filter_leaves_what_is_needed(self) -> FeedConfig:
        table, filtered = self.table, self.producer.filter
        needed = {"table.key": table.key, "table.time_attribute": (table.time_attribute,)}
        needed["table.version_attribute"] = (table.version_attribute,)
        for setting, names in needed.items():
            if omitted := sorted(set(filtered.omit).intersection(names)):
                raise ValueError(f"producer.filter.omit: {omitted[0]!r} is {setting} and cannot be left out")
        if filtered.only_written_in is not None and table.region_attribute is None:
            raise ValueError(
                "producer.filter.only_written_in needs table.region_attribute: DynamoDB does not say which region "
                "wrote an item, so an attribute of the item must"
            )
        return self

    @property
    def source(self) -> RegionSettings:
        """The region whose stream is read."""
        return self.regions[self.table.region]

    def has_topic(self, region: str) -> bool:
        """Whether the feed's topic exists in ``region``: at the source, and where a mirror copies it to."""
        return region == self.table.region or any(mirror.target == region for mirror in self.mirrors)
