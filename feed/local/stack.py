"""Everything at once: three regions, the way between them, mirrors, the table, the stores. One object to run it all."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from feed.local import ministack as mail
from feed.local.broker import Broker
from feed.local.dynamodb import DynamoDbLocal
from feed.local.guardian import Guardian
from feed.local.jars import dynamodb_jars, kafka_jars, metrics_agent
from feed.local.link import Link
from feed.local.mirror import Mirror
from feed.local.object_store import ObjectStore
from feed.local.part import Part, ProcessPart, Site
from feed.local.ports import PortBook
from feed.local.run_logs import new_log_dir
from feed.local.settings import LocalSettings
from feed.local.stack_plan import StackPlan
from feed.local.state_lock import lock_folder
from feed.local.tools import require_java
from mirrormaker import LOCAL_PACE, Cluster, Flow, Form, render
from schemas.errors import ConfigError

_log = logging.getLogger(__name__)

# what others talk to: it starts before them and stops after them
_SERVERS = (Broker, Link, DynamoDbLocal, ObjectStore, mail.Ministack)


class Stack:
    """The local regions as processes. A context manager: what it started is gone when it is left, in any way.

    ``with Stack(StackPlan()) as stack: stack.start(before_mirrors=apply_topics)``. Parts are found by name:
    ``kafka-eu``, ``link-us``, ``mirror-us``, ``dynamodb``, ``s3``, ``ministack``, and what ``add`` was given.

    With ``data_dir`` the state is kept there and found again by the next stack with the same folder, at the same
    addresses where they are still free; without, it is deleted at the end. Logs are kept in both cases.

    Raises:
        ConfigError: something this machine needs is missing, and the hint says how to install it; or another stack
            runs on ``data_dir``.
    """

    def __init__(
        self, plan: StackPlan | None = None, *, settings: LocalSettings | None = None, data_dir: Path | None = None
    ) -> None:
        self.plan = plan or StackPlan()
        self.settings = settings or LocalSettings()
        self._temporary = data_dir is None
        self._lock = lock_folder(data_dir) if data_dir else None
        self._guardian = Guardian()
        state_dir = data_dir.resolve() if data_dir else Path(tempfile.mkdtemp(prefix="changefeed-"))
        if self._temporary:
            self._guardian.delete_later(state_dir)
        self.site = Site(
            state_dir=state_dir,
            log_dir=self.settings.log_dir or new_log_dir(self.settings.cache_dir / "logs"),
            guardian=self._guardian,
            settings=self.settings,
            disposable=self._temporary,
            ports=PortBook(None if self._temporary else state_dir / "ports.json"),
        )
        self._parts: dict[str, Part] = {}
        try:
            self._build()
        except BaseException:
            self.stop()
            raise

    # what it consists of

    def _build(self) -> None:
        java = require_java(install=self.settings.install_missing)
        plan, site = self.plan, self.site
        home, *others = plan.regions
        with ThreadPoolExecutor(4) as pool:  # package managers that do not know of each other
            kafka = pool.submit(kafka_jars, self.settings)
            agent = pool.submit(metrics_agent, self.settings)
            dynamodb = pool.submit(dynamodb_jars, self.settings) if plan.dynamodb else None
            environment = pool.submit(mail.install, self.settings) if plan.ministack else None
        for region in plan.regions:
            listeners = [_listener(other) for other in others] if region == home else []
            self.add(
                Broker(
                    region,
                    site,
                    java=java,
                    jars=kafka.result(),
                    listeners=listeners,
                    properties=plan.broker_properties,
                )
            )
        for region in others:
            self._add_way(region, kafka_of_home=self.broker(home))
            if plan.mirrors:
                files = self._mirror_files(region)
                self.add(Mirror(region, site, java=java, jars=kafka.result(), agent=agent.result(), files=files))
        if dynamodb is not None:
            on_disk = plan.dynamodb_on_disk or not self._temporary
            self.add(DynamoDbLocal(site, java=java, jars=dynamodb.result(), on_disk=on_disk))
        if plan.object_store:
            self.add(ObjectStore(site))
        if environment is not None:
            self.add(mail.Ministack(site, environment=environment.result()))

    def _add_way(self, region: str, *, kafka_of_home: Broker) -> None:
        listener = _listener(region)
        link = Link(
            f"link-{region}",
            self.site,
            target=kafka_of_home.port_of(listener),
            round_trip_ms=self.plan.round_trips_ms.get(region, 0.0),
        )
        kafka_of_home.advertise(listener, link.port)
        self.add(link)

    def _mirror_files(self, region: str) -> Callable[[], Mapping[str, str]]:
        home = self.plan.regions[0]
        source = Cluster(home, self.link(region).addresses["address"], replication_factor=1)
        target = Cluster(region, self.bootstrap(region), replication_factor=1)
        flow = Flow(source, target, self.plan.feeds, tasks_max=1, pace=LOCAL_PACE)
        return lambda: render(Form.DEDICATED, flow).files

    def add(self, part: Part) -> None:
        """One more part, for example a ``Program``; it stops before those that were there."""
        if part.name in self._parts:
            raise ConfigError(f"There are two parts named {part.name}.", hint="Give one of them another name.")
        self._parts[part.name] = part

    # finding things

    @property
    def parts(self) -> Mapping[str, Part]:
        """All parts by name, in the order in which they depend on each other."""
        return dict(self._parts)

    def part(self, name: str) -> Part:
        """The part of that name.

        Raises:
            ConfigError: there is none; the hint lists those there are.
        """
        try:
            return self._parts[name]
        except KeyError:
            raise ConfigError(f"There is no part named {name}.", hint=f"There are: {', '.join(self._parts)}.") from None

    def broker(self, region: str) -> Broker:
        """The region's cluster."""
        part = self.part(f"kafka-{region}")
        assert isinstance(part, Broker)  # noqa: S101 - by its name, for mypy
        return part

    def link(self, region: str) -> Link:
        """The way from the home region to this one."""
        part = self.part(f"link-{region}")
        assert isinstance(part, Link)  # noqa: S101 - by its name, for mypy
        return part

    @property
    def regions(self) -> tuple[str, ...]:
        """Their names, the home region first."""
        return self.plan.regions

    def bootstrap(self, region: str) -> str:
        """Where clients of this region find its cluster."""
        return self.broker(region).bootstrap

    def endpoint(self, name: str) -> str:
        """URL of ``dynamodb``, ``s3`` or ``ministack``."""
        return self.part(name).addresses["endpoint"]

    @property
    def dynamodb(self) -> DynamoDbLocal:
        """The table's server."""
        part = self.part("dynamodb")
        assert isinstance(part, DynamoDbLocal)  # noqa: S101 - by its name, for mypy
        return part

    @property
    def s3(self) -> ObjectStore:
        """The S3 server."""
        part = self.part("s3")
        assert isinstance(part, ObjectStore)  # noqa: S101 - by its name, for mypy
        return part

    def description(self) -> dict[str, object]:
        """Every address, process and log, as plain values for JSON."""
        return {
            "pid": os.getpid(),
            "data_dir": None if self._temporary else str(self.site.state_dir),
            "log_dir": str(self.site.log_dir),
            "regions": {region: {"bootstrap_servers": self.bootstrap(region)} for region in self.plan.regions},
            "endpoints": {
                name: part.addresses["endpoint"] for name, part in self._parts.items() if "endpoint" in part.addresses
            },
            "parts": {
                name: {"pid": part.pid, "log": str(part.log_path), "addresses": dict(part.addresses)}
                for name, part in self._parts.items()
            },
        }

    def write_description(self, path: Path) -> None:
        """Write ``description`` whole or not at all."""
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        unfinished.write_text(json.dumps(self.description(), indent=2) + "\n")
        unfinished.replace(path)

    # running

    def start(self, *, before_mirrors: Callable[[Stack], None] | None = None) -> None:
        """Start everything and return when all of it answers.

        Brokers, links and stores start together. ``before_mirrors`` runs when they answer and before MirrorMaker
        starts: the place to create topics, with the partitions and the retention that MirrorMaker would not give them.
        Programs that were added are not started.
        """
        began = time.monotonic()
        mirrors = [part for part in self._parts.values() if isinstance(part, Mirror)]
        first = [
            p
            for p in self._parts.values()
            if isinstance(p, Broker | Link | DynamoDbLocal | ObjectStore | mail.Ministack)
        ]
        _start_together(first)
        if before_mirrors is not None:
            before_mirrors(self)
        _start_together(mirrors)
        _log.info("all parts answer parts=%d after_s=%.1f", len(self._parts), time.monotonic() - began)

    def stop(self) -> None:
        """Stop everything, last added first, then delete what is temporary."""
        try:
            kinds: list[list[Part]] = [[], []]
            for part in reversed(self._parts.values()):
                kinds[isinstance(part, _SERVERS)].append(part)
            for parts in kinds:  # who talks first, then who is talked to
                if parts:
                    with ThreadPoolExecutor(len(parts)) as pool:
                        list(pool.map(_finish, parts))
        finally:
            self._guardian.close()
            if self._temporary:
                shutil.rmtree(self.site.state_dir, ignore_errors=True)
            if self._lock is not None:
                self._lock.close()

    def kill(self, name: str) -> None:
        """SIGKILL the part of that name."""
        self.part(name).kill()

    def restart(self, name: str, within_s: float | None = None) -> None:
        """Start the part of that name again; returns when it answers."""
        self.part(name).restart(within_s)

    def isolate(self, region: str) -> None:
        """Cut a region off from the home region; clients on this machine still reach both."""
        self.link(region).cut()

    def rejoin(self, region: str) -> None:
        """Undo ``isolate``."""
        self.link(region).mend()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _listener(region: str) -> str:
    return f"MIRROR_{region.upper()}"


def _finish(part: Part) -> None:
    if isinstance(part, ProcessPart):
        part.finish()
    else:
        part.stop()


def _start_together(parts: Sequence[Part]) -> None:
    """Start them all and wait for each; when one fails, or on Ctrl-C, the others are not waited for."""
    if not parts:
        return

    def start(part: Part) -> None:
        part.start()
        part.wait_ready()

    with ThreadPoolExecutor(len(parts)) as pool:
        try:
            list(pool.map(start, parts))
        except BaseException:
            # Ctrl-C, or one that failed: do not wait for the others to come up
            for part in parts:
                part.kill()
            raise
