"""Kafka and MirrorMaker in containers: one class for the official image and for the one that is built here.

What is used of the image ``apache/kafka``, and nothing more:

* its default command turns ``KAFKA_`` variables into ``server.properties`` (``KAFKA_LOG_DIRS`` is ``log.dirs``),
  formats the disk on the first start and runs the broker in the foreground;
* ``KAFKA_HEAP_OPTS`` and ``CLUSTER_ID``;
* ``Kafka Server started`` on standard output;
* ``/opt/kafka/bin/connect-mirror-maker.sh FILE --clusters NAME``.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import docker.errors
from testcontainers.core.container import DockerContainer

from feed.local import broker, mirror
from feed.local.ports import free_port
from feed.local.reaper import LOG_LABEL
from feed.local.settings import LocalSettings
from schemas.errors import FatalError

LOOPBACK = "127.0.0.1"
POLL_S = 0.2
LOG_TAIL_LINES = 12
STARTS = 5
STOP_WITHIN_S = 10
CLIENT_PORT, INTERNAL_PORT, BROKER_PORT, CONTROLLER_PORT = 9092, 19092, 9094, 9093


def variable_of(key: str) -> str:
    """The variable that the image turns into this property: of ``-``, ``_`` and ``.`` come three, two and one ``_``."""
    return "KAFKA_" + key.translate({ord("-"): "___", ord("_"): "__", ord("."): "_"}).upper()


class ContainerPart(DockerContainer, ABC):
    """A container as a ``Part``: it is created once, and killed and started again with its disk and its addresses."""

    def __init__(self, name: str, image: str, *, settings: LocalSettings, log_dir: Path) -> None:
        super().__init__(image)
        self.name = name
        self._settings = settings
        self._log_dir = log_dir
        self._starts = 0
        # who removes it after this process was killed keeps the log as well
        self.with_kwargs(labels={LOG_LABEL: str(self.log_path)})

    @property
    @abstractmethod
    def addresses(self) -> Mapping[str, str]:
        """What listens where, for a client on this machine."""

    @property
    @abstractmethod
    def ready_line(self) -> bytes:
        """What it prints when it serves."""

    @property
    def log_path(self) -> Path:
        """Where its log is put when it stops or fails; until then Docker has it."""
        return self._log_dir / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """Process id on the engine's machine."""
        if self._container is None:
            return None
        self._container.reload()
        return self._container.attrs["State"]["Pid"] or None

    def start(self) -> Self:
        """Create and start it, or start it again; nothing happens when it runs already."""
        if self._container is None:
            self.create()
        elif self.pid is None:
            self._starts = self._printed().count(self.ready_line)
            self._container.start()
        return self

    def create(self) -> None:
        """The first start."""
        super().start()

    def wait_ready(self, within_s: float | None = None) -> None:
        """Return when it has said since its last start that it serves."""
        bound_s = self._settings.ready_within_s if within_s is None else within_s
        until = time.monotonic() + bound_s
        while self._printed().count(self.ready_line) <= self._starts:
            if self.pid is None:
                raise self._failed(f"{self.name} ended before it was ready")
            if time.monotonic() > until:
                raise self._failed(f"{self.name} did not answer within {bound_s:.0f} s")
            time.sleep(POLL_S)

    def _printed(self) -> bytes:
        return bytes(self._container.logs()) if self._container is not None else b""

    def _failed(self, what: str) -> FatalError:
        self.save_log()
        tail = self._printed().decode(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        said = "\n".join(f"  {line}" for line in tail) or "  (nothing)"
        return FatalError(f"{what}; the last it said:\n{said}", hint=f"Its whole log is {self.log_path}.")

    def save_log(self) -> None:
        """Put its log where ``log_path`` says."""
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self.log_path.write_bytes(self._printed())

    def stop(self, force: bool = True, delete_volume: bool = True) -> None:  # noqa: FBT001, FBT002 - Testcontainers'
        """Keep its log, then remove it with its disk (this is Testcontainers' own ``stop``)."""
        if self._container is not None:
            self.save_log()
        super().stop(force, delete_volume)
        self._container = None

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._container is not None and self.pid is not None:
            self._thaw()
            self._container.kill()
            self._container.wait(timeout=STOP_WITHIN_S)

    def _thaw(self) -> None:
        """Docker neither kills nor stops what is frozen."""
        if self._container is not None and self._container.status == "paused":
            self._container.unpause()

    def pause(self) -> None:
        """Freeze its processes: connections stay open and nothing is answered."""
        if self._container is not None:
            self._container.pause()

    def resume(self) -> None:
        """Let them go on."""
        if self._container is not None:
            self._container.unpause()

    def restart(self, within_s: float | None = None) -> None:
        """Stop it if it runs, start it with its disk and its addresses, wait until it serves."""
        if self._container is not None and self.pid is not None:
            self._thaw()
            self._container.stop(timeout=STOP_WITHIN_S)
        self.start()
        self.wait_ready(within_s)


class BrokerContainer(ContainerPart):
    """One region's cluster in a container.

    ``bootstrap`` is for this machine, ``internal`` for containers on a network it was joined to. The port on this
    machine is chosen before the container exists: so it can be advertised, and it stays when the container is killed
    and started again (a port that Docker picks is another one after every start, and clients never come back).
    """

    def __init__(
        self,
        region: str,
        image: str,
        *,
        settings: LocalSettings,
        log_dir: Path,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"kafka-{region}", image, settings=settings, log_dir=log_dir)
        self.region = region
        self._port = 0
        host = self.get_docker_client().host()
        self._host = LOOPBACK if host == "localhost" else host  # which may also be ::1, where nobody listens
        configuration = {
            **broker.ONE_BROKER,
            # A broker also talks to itself by what it advertises between brokers (it verifies transactions so): under
            # its name on a network, all transactions would fail while it is cut off that network.
            "inter.broker.listener.name": "BROKER",
            "listeners": f"CLIENT://:{CLIENT_PORT},INTERNAL://:{INTERNAL_PORT},"
            f"BROKER://localhost:{BROKER_PORT},CONTROLLER://localhost:{CONTROLLER_PORT}",
            "listener.security.protocol.map": ",".join(
                f"{name}:PLAINTEXT" for name in ("CLIENT", "INTERNAL", "BROKER", "CONTROLLER")
            ),
            "controller.quorum.voters": f"1@localhost:{CONTROLLER_PORT}",
            "log.dirs": "/tmp/kafka-logs",  # noqa: S108 - inside the container
            **(properties or {}),
        }
        heap = settings.broker_heap_mib
        self.with_env("KAFKA_HEAP_OPTS", f"-Xms{min(128, heap)}m -Xmx{heap}m")
        self.with_env("CLUSTER_ID", broker.new_cluster_id())
        self.with_envs(**{variable_of(key): value for key, value in configuration.items()})

    @property
    def ready_line(self) -> bytes:
        """Kafka's own."""
        return broker.READY

    @property
    def bootstrap(self) -> str:
        """For clients on this machine."""
        return f"{self._host}:{self._port}"

    @property
    def internal(self) -> str:
        """For containers on a network that this one was joined to."""
        return f"{self.name}:{INTERNAL_PORT}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """``bootstrap`` and ``internal``."""
        return {"bootstrap": self.bootstrap, "internal": self.internal}

    def create(self) -> None:
        """Start it on a free port; when someone was quicker to take that, on another one."""
        for attempt in range(STARTS):
            self._port = free_port()
            # on the loopback address alone where the engine is on this machine
            self.ports[str(CLIENT_PORT)] = (LOOPBACK, self._port) if self._host == LOOPBACK else self._port  # type: ignore[assignment] # docker takes both
            advertised = f"CLIENT://{self.bootstrap},INTERNAL://{self.internal},BROKER://localhost:{BROKER_PORT}"
            self.with_env("KAFKA_ADVERTISED_LISTENERS", advertised)
            try:
                super().create()
            except docker.errors.APIError as e:
                if self._container is not None:
                    self._container.remove(force=True)
                    self._container = None
                taken = any(sign in str(e) for sign in ("already in use", "already allocated", "not available"))
                if not taken or attempt == STARTS - 1:
                    raise
            else:
                return


class MirrorContainer(ContainerPart):
    """MirrorMaker in dedicated mode, one container for one target region."""

    FILE = "/tmp/mm2.properties"  # noqa: S108 - inside the container

    def __init__(self, target: str, image: str, *, properties: str, settings: LocalSettings, log_dir: Path) -> None:
        super().__init__(f"mirror-{target}", image, settings=settings, log_dir=log_dir)
        heap = settings.mirror_heap_mib
        self.with_env("KAFKA_HEAP_OPTS", f"-Xms{min(128, heap)}m -Xmx{heap}m")
        self.with_copy_into_container(properties.encode(), self.FILE)
        self.with_command(["/opt/kafka/bin/connect-mirror-maker.sh", self.FILE, "--clusters", target])

    @property
    def ready_line(self) -> bytes:
        """MirrorMaker's own."""
        return mirror.READY

    @property
    def addresses(self) -> Mapping[str, str]:
        """Nothing of it is meant for clients."""
        return {}
