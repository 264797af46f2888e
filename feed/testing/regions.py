"""Three mirrored regions for a test or a script, on processes or on containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from confluent_kafka.admin import AdminClient, NewTopic

from feed.local.part import Part
from feed.local.settings import LocalSettings
from feed.local.stack import Stack
from feed.local.stack_plan import StackPlan
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from feed.local.container_regions import ContainerRegions

Backend = Literal["processes", "containers"]
CREATE_WITHIN_S = 20.0
NOT_IN_CONTAINERS = "Containers have neither a data folder nor a distance between regions."


class KafkaBroker(Part, Protocol):
    """A cluster of one broker, as a process or as a container."""

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers for clients on this machine."""
        ...


class Regions(Protocol):
    """Kafka clusters by region, mirrors from the first to the others, and what can be done to them.

    Parts are named ``kafka-<region>`` and ``mirror-<region>``. Faults do not change addresses.
    """

    @property
    def regions(self) -> tuple[str, ...]:
        """Their names; the first is the one that is mirrored to the others."""
        ...

    def bootstrap(self, region: str) -> str:
        """Bootstrap servers for clients on this machine."""
        ...

    def part(self, name: str) -> Part:
        """A broker or a mirror, for ``pause``, ``resume``, ``stop``, its process id, its log."""
        ...

    def kill(self, name: str) -> None:
        """SIGKILL the part of that name."""
        ...

    def restart(self, name: str, within_s: float | None = None) -> None:
        """Start it again with its addresses and its state; returns when it answers."""
        ...

    def isolate(self, region: str) -> None:
        """Cut a region off from the first one; clients on this machine still reach both."""
        ...

    def rejoin(self, region: str) -> None:
        """Undo ``isolate``; what waited goes on."""
        ...


def create_topics(
    bootstrap_servers: str,
    topics: Mapping[str, int],
    *,
    settings: Mapping[str, str] | None = None,
    replication_factor: int = 1,
) -> None:
    """Create topics (name → partitions), and return when they exist.

    Args:
        bootstrap_servers: of the cluster.
        topics: name → number of partitions.
        settings: of every one of these topics, for example ``{"cleanup.policy": "compact"}``.
        replication_factor: copies of each; 1 for a cluster of one broker.
    """
    if not topics:
        return
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    new = [NewTopic(name, count, replication_factor, config=dict(settings or {})) for name, count in topics.items()]
    for answer in admin.create_topics(new, operation_timeout=CREATE_WITHIN_S).values():
        answer.result(CREATE_WITHIN_S)


def create_feed_topics(regions: Regions, feeds: Sequence[str], *, partitions: int) -> None:
    """The topics that are mirrored of each feed, alike in every region."""
    topics = {name: count for feed in feeds for name, count in ((feed, partitions), (f"{feed}.control", 1))}
    for region in regions.regions:
        create_topics(regions.bootstrap(region), topics)


@contextmanager
def three_regions(
    *,
    backend: Backend = "processes",
    feeds: Sequence[str] = ("orders",),
    create: Sequence[str] | None = None,
    partitions: int = 4,
    regions: Sequence[str] = ("eu", "us", "ap"),
    round_trips_ms: Mapping[str, float] | None = None,
    broker_properties: Mapping[str, str] | None = None,
    image: str | None = None,
    settings: LocalSettings | None = None,
    data_dir: Path | None = None,
) -> Iterator[Regions]:
    """Real Kafka clusters, by default eu, us and ap, with MirrorMaker from the first to each other one.

    The topics ``<feed>`` and ``<feed>.control`` exist in every region when this returns, and what is written to them in
    the first region is mirrored exactly once. Everything is gone when the block is left, or when the process ends in
    any other way.

    Args:
        backend: ``processes`` needs Java 17 and Maven, ``containers`` a Docker Engine.
        feeds: whose topics are mirrored.
        create: of which feeds the topics are created; by default of all.
        partitions: of each feed's topic, the same in every region.
        regions: names; the first is the source.
        round_trips_ms: time from the first region to another and back, which a proxy adds; processes only.
        broker_properties: more properties of every broker.
        image: for containers, an image with the layout of ``apache/kafka``; by default that one, or one that is built
            here where no registry can be reached.
        settings: versions, memory, bounds.
        data_dir: keep the clusters' state there; processes only.

    Raises:
        ConfigError: something that this machine needs is missing, and the hint says what to install; or an argument
            that this backend cannot keep.
        FatalError: a part did not come up; the message quotes its log.
    """
    new = tuple(feeds if create is None else create)

    def create_first(started: Regions) -> None:
        create_feed_topics(started, new, partitions=partitions)

    if backend == "containers":
        if data_dir is not None or any((round_trips_ms or {}).values()):
            raise ConfigError(NOT_IN_CONTAINERS, hint='Leave out data_dir and round_trips_ms, or take "processes".')
        with _containers(regions, feeds, broker_properties or {}, image, settings) as containers:
            containers.start(before_mirrors=lambda: create_first(containers))
            yield containers
        return
    plan = StackPlan(
        regions=tuple(regions),
        feeds=tuple(feeds),
        round_trips_ms=round_trips_ms or {},
        broker_properties=broker_properties or {},
        dynamodb=False,
        object_store=False,
        ministack=False,
    )
    with Stack(plan, settings=settings, data_dir=data_dir) as stack:
        stack.start(before_mirrors=create_first)
        yield stack


def _containers(
    regions: Sequence[str],
    feeds: Sequence[str],
    broker_properties: Mapping[str, str],
    image: str | None,
    settings: LocalSettings | None,
) -> ContainerRegions:
    try:
        from feed.local.container_regions import ContainerRegions  # noqa: PLC0415 - Docker's client is wanted only here
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Containers need the package {error.name}.", hint='pip install "changefeed[local,testing]"'
        ) from error
    return ContainerRegions(
        tuple(regions), feeds=tuple(feeds), image=image, settings=settings, broker_properties=broker_properties
    )
