"""The regions as containers: brokers, a network for each way between two regions, mirrors, and what cuts a way."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import docker
import docker.errors
from testcontainers.core.network import Network

from feed.local.containers import BrokerContainer, ContainerPart, MirrorContainer
from feed.local.kafka_image import kafka_image
from feed.local.reaper import watch_session
from feed.local.run_logs import new_log_dir
from feed.local.settings import LocalSettings
from mirrormaker import LOCAL_PACE, Cluster, Flow, render_dedicated
from schemas.errors import ConfigError

_log = logging.getLogger(__name__)

OFFICIAL_IMAGE = "apache/kafka"
PULL_WITHIN_S = 300


def choose_image(settings: LocalSettings) -> str:
    """The official image when this engine has it or can get it, else the one that is built here.

    Raises:
        ConfigError: no engine answers, or neither image can be had.
    """
    official = f"{OFFICIAL_IMAGE}:{settings.kafka_version}"
    try:
        client = docker.from_env(timeout=PULL_WITHIN_S)
    except docker.errors.DockerException as e:
        raise ConfigError(
            f"No Docker Engine answers: {e}", hint="Start Docker, or run the regions as processes (the default)."
        ) from e
    with contextlib.closing(client), contextlib.suppress(docker.errors.APIError):
        if not client.images.list(official):
            client.images.pull(OFFICIAL_IMAGE, settings.kafka_version)
        return official
    return kafka_image(settings)


class ContainerRegions:
    """Kafka clusters by region in containers, mirrored from the first to the others. A context manager.

    Every broker is on Docker's default network, by which this machine reaches it. The way from the first region to
    another one is a network of its own, with both brokers and the target's MirrorMaker on it: ``isolate`` takes the
    first region's broker off it.
    """

    def __init__(
        self,
        regions: tuple[str, ...],
        *,
        feeds: tuple[str, ...],
        image: str | None = None,
        settings: LocalSettings | None = None,
        broker_properties: Mapping[str, str] | None = None,
        log_dir: Path | None = None,
    ) -> None:
        self.regions = regions
        self.settings = settings or LocalSettings()
        self.image = image or choose_image(self.settings)
        logs = log_dir or self.settings.log_dir or new_log_dir(self.settings.cache_dir / "logs")
        logs.mkdir(parents=True, exist_ok=True)
        watch_session()
        self._ways: dict[str, Network] = {}
        self._brokers = {
            region: BrokerContainer(
                region, self.image, settings=self.settings, log_dir=logs, properties=broker_properties
            )
            for region in regions
        }
        self._mirrors = {
            region: MirrorContainer(
                region, self.image, properties=self._flow(region, feeds), settings=self.settings, log_dir=logs
            )
            for region in regions[1:]
        }

    def _flow(self, region: str, feeds: tuple[str, ...]) -> str:
        source, target = (
            Cluster(name, self._brokers[name].internal, replication_factor=1) for name in (self.regions[0], region)
        )
        return render_dedicated(Flow(source, target, feeds, pace=LOCAL_PACE))

    def broker(self, region: str) -> BrokerContainer:
        """The region's cluster."""
        return self._brokers[region]

    def bootstrap(self, region: str) -> str:
        """Bootstrap servers for clients on this machine."""
        return self._brokers[region].bootstrap

    def part(self, name: str) -> ContainerPart:
        """``kafka-<region>`` or ``mirror-<region>``.

        Raises:
            ConfigError: there is none of that name; the hint lists those there are.
        """
        parts = {part.name: part for part in (*self._brokers.values(), *self._mirrors.values())}
        if name not in parts:
            raise ConfigError(f"There is no part named {name}.", hint=f"There are: {', '.join(parts)}.")
        return parts[name]

    def start(self, *, before_mirrors: Callable[[], None] | None = None) -> None:
        """Start the brokers together, join them to the ways, call ``before_mirrors``, start the mirrors together."""
        began = time.monotonic()
        _together(list(self._brokers.values()), ContainerPart.start)
        home = self._brokers[self.regions[0]]
        for region in self.regions[1:]:
            way = Network(docker_network_kw={"internal": True}).create()
            self._ways[region] = way
            for broker in (home, self._brokers[region]):
                way.connect(broker.get_container_id(), [broker.name])
        _together(list(self._brokers.values()), ContainerPart.wait_ready)
        if before_mirrors is not None:
            before_mirrors()
        for region, mirror in self._mirrors.items():
            mirror.with_network(self._ways[region]).with_network_aliases(mirror.name)
        _together(list(self._mirrors.values()), ContainerPart.start)
        _together(list(self._mirrors.values()), ContainerPart.wait_ready)
        _log.info("all containers serve image=%s after_s=%.1f", self.image, time.monotonic() - began)

    def stop(self) -> None:
        """Keep the logs and remove everything; what would not go is removed when this process ends."""
        _together([*self._mirrors.values(), *self._brokers.values()], ContainerPart.stop)
        for way in self._ways.values():
            way.remove()
        self._ways.clear()

    def kill(self, name: str) -> None:
        """SIGKILL the part of that name."""
        self.part(name).kill()

    def restart(self, name: str, within_s: float | None = None) -> None:
        """Start it again with its disk and its addresses; returns when it serves."""
        self.part(name).restart(within_s)

    def isolate(self, region: str) -> None:
        """Take the first region's broker off the way to this one."""
        home = self._brokers[self.regions[0]]
        network = self._ways[region]._unwrap_network  # noqa: SLF001 - there is no public way
        network.disconnect(home.get_container_id(), force=True)

    def rejoin(self, region: str) -> None:
        """Put it back."""
        home = self._brokers[self.regions[0]]
        self._ways[region].connect(home.get_container_id(), [home.name])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _together(parts: Sequence[ContainerPart], act: Callable[[ContainerPart], object]) -> None:
    if parts:
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(act, parts))
