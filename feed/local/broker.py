"""A Kafka broker that is one region: broker and controller in one process, small, with a mirror's own listeners."""

from __future__ import annotations

import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

from feed.local.jars import Jars
from feed.local.java_part import JavaPart
from feed.local.part import Site
from feed.local.tools import Java
from schemas.errors import FatalError

READY = b"Kafka Server started"
FORMAT_WITHIN_S = 60

# What a cluster of one broker needs, and what keeps it small. Replication factors: forgetting transaction.state.log.*
# makes transactions hang without a word.
ONE_BROKER: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "CLIENT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # the consumer protocol's sessions are the broker's to set: 45 s by default
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "10000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "2000",
    "auto.create.topics.enable": "false",
    # a killed broker registers again when its former session has run out, 9 s by default
    "broker.session.timeout.ms": "5000",
    "broker.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": str(16 << 20),
    "log.cleaner.threads": "1",
}


def new_cluster_id() -> str:
    """A cluster id that Kafka's own tools take: one that begins with a dash looks like an option to them."""
    while True:
        text = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


class Broker(JavaPart):
    """One region's cluster.

    ``listeners`` are more ways in, by name; each may be advertised at an address that is not its own
    (``advertise(name, port)``): that of a proxy, so that who comes that way has a distance to cover.
    """

    def __init__(
        self,
        region: str,
        site: Site,
        *,
        java: Java,
        jars: Jars,
        listeners: Sequence[str] = (),
        properties: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            f"kafka-{region}", site, java=java, jars=jars, kind="broker", heap_mib=site.settings.broker_heap_mib
        )
        self.region = region
        self._ports = {name: site.ports.port(f"{self.name} {name}") for name in ("CLIENT", *listeners, "CONTROLLER")}
        self._advertised: dict[str, int] = {}
        self._extra = dict(properties or {})

    @property
    def bootstrap(self) -> str:
        """For clients of this region."""
        return f"127.0.0.1:{self._ports['CLIENT']}"

    def port_of(self, listener: str) -> int:
        """Where a listener listens, whatever it advertises."""
        return self._ports[listener]

    def advertise(self, listener: str, port: int) -> None:
        """From the next start on, tell clients of ``listener`` to come to ``port`` on this machine."""
        self._advertised[listener] = port

    @property
    def addresses(self) -> Mapping[str, str]:
        """``bootstrap`` and one entry for each further listener, by its name in lower case."""
        others = {
            name.lower(): f"127.0.0.1:{self._advertised.get(name, port)}"
            for name, port in self._ports.items()
            if name not in ("CLIENT", "CONTROLLER")
        }
        return {"bootstrap": self.bootstrap, **others}

    def server_properties(self) -> dict[str, str]:
        """The broker's whole configuration; what the caller gave wins."""
        listeners = [f"{name}://127.0.0.1:{port}" for name, port in self._ports.items()]
        advertised = [
            f"{name}://127.0.0.1:{self._advertised.get(name, port)}"
            for name, port in self._ports.items()
            if name != "CONTROLLER"
        ]
        return {
            **ONE_BROKER,
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in self._ports),
            "controller.quorum.voters": f"1@127.0.0.1:{self._ports['CONTROLLER']}",
            "log.dirs": str(self.site.state_of(self.name) / "data"),
            **self._extra,
        }

    def cluster_id(self) -> str:
        """The id of the cluster that this broker is formatted for: its own, unless it is one of several."""
        return new_cluster_id()

    def prepare(self) -> None:
        """Write ``server.properties`` and, before the first start, format the disk.

        Formatting has to be done by Kafka's own tool: it also writes which features the cluster begins with (without
        them there is neither the consumer group protocol nor the current form of transactions).
        """
        file = self.site.state_of(self.name) / "server.properties"
        properties = self.server_properties()
        file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        if (Path(properties["log.dirs"]) / "meta.properties").exists():
            return
        tool = self.tool("kafka.tools.StorageTool", "format", "-t", self.cluster_id(), "-c", str(file))
        done = subprocess.run(tool, capture_output=True, text=True, timeout=FORMAT_WITHIN_S, check=False)  # noqa: S603
        if done.returncode != 0:
            raise FatalError(
                f"The disk of {self.name} could not be formatted: {(done.stderr or done.stdout).strip()[-500:]}",
                hint="A property that was given for the broker may be wrong; the text above is Kafka's own.",
            )

    def main(self) -> Sequence[str]:
        """The broker with its file."""
        return ["kafka.Kafka", str(self.site.state_of(self.name) / "server.properties")]

    def is_ready(self) -> bool:
        """It says so itself when all its listeners serve."""
        return READY in self.printed()
