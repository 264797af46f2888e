"""A region of several brokers, as a managed cluster has them: any one may be away, and none of them is special."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from feed.local.broker import Broker, new_cluster_id
from feed.local.jars import Jars
from feed.local.part import Site
from feed.local.tools import Java
from schemas.errors import FatalError

BROKERS = 3
MIN_IN_SYNC = 2
ASK_WITHIN_S = 5.0
POLL_S = 0.2

# What MSK sets for clusters in three zones: three copies, two of which must have a record before it counts.
OF_THREE: Mapping[str, str] = {
    "default.replication.factor": str(BROKERS),
    "min.insync.replicas": str(MIN_IN_SYNC),
    "offsets.topic.replication.factor": str(BROKERS),
    "transaction.state.log.replication.factor": str(BROKERS),
    "transaction.state.log.min.isr": str(MIN_IN_SYNC),
    "share.coordinator.state.topic.replication.factor": str(BROKERS),
    "share.coordinator.state.topic.min.isr": str(MIN_IN_SYNC),
    "unclean.leader.election.enable": "false",
    "controlled.shutdown.enable": "true",
    # how soon the rest hand a restarted broker its share of leaders back; 300 s by default
    "leader.imbalance.check.interval.seconds": "10",
}


class _Member(Broker):
    """One broker of several; what they share is known once all of them have ports."""

    def __init__(self, number: int, cluster: BrokerCluster, site: Site, *, java: Java, jars: Jars) -> None:
        super().__init__(f"{cluster.region}-{number}", site, java=java, jars=jars)
        self._number, self._cluster = number, cluster

    def cluster_id(self) -> str:
        return self._cluster.cluster_id

    def server_properties(self) -> dict[str, str]:
        return {
            **super().server_properties(),
            **OF_THREE,
            "node.id": str(self._number),
            "controller.quorum.voters": self._cluster.voters,
            **self._cluster.properties,
        }


class BrokerCluster:
    """Three brokers, each also a controller, in one cluster; parts ``kafka-<region>-1`` to ``-3``."""

    def __init__(
        self, region: str, site: Site, *, java: Java, jars: Jars, properties: Mapping[str, str] | None = None
    ) -> None:
        self.region, self.cluster_id, self.properties = region, new_cluster_id(), dict(properties or {})
        numbers = range(1, BROKERS + 1)
        self.brokers: Sequence[Broker] = [_Member(number, self, site, java=java, jars=jars) for number in numbers]
        self.voters = ",".join(
            f"{number}@127.0.0.1:{broker.port_of('CONTROLLER')}" for number, broker in enumerate(self.brokers, 1)
        )

    @property
    def bootstrap(self) -> str:
        """All of them, for clients on this machine."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    def start(self) -> None:
        """Start all and return when all serve. Raises FatalError, with the log of the one that does not."""
        with ThreadPoolExecutor(BROKERS) as pool:  # formatting a disk takes a second each
            list(pool.map(lambda broker: broker.start(), self.brokers))
        for broker in self.brokers:
            broker.wait_ready()

    def wait_in_sync(self, within_s: float = 60.0) -> None:
        """Return when every partition has all its copies in sync: the next broker may go.

        Raises:
            FatalError: some are not within the bound; they are named.
        """
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        deadline = time.monotonic() + within_s
        while behind := _behind(admin):
            if time.monotonic() > deadline:
                raise FatalError(
                    f"after {within_s:.0f} s copies are missing of {', '.join(sorted(behind)[:5])}",
                    hint="the log of the broker that came back last says what it waits for",
                )
            time.sleep(POLL_S)

    def roll(self) -> None:
        """Restart one broker after the other, in order, as a managed cluster is patched: SIGTERM, up, in sync, next."""
        for broker in self.brokers:
            broker.stop()
            broker.start()
            broker.wait_ready()
            self.wait_in_sync()

    def finish(self) -> None:
        """End all of them for good."""
        for broker in self.brokers:
            broker.finish()


def _behind(admin: AdminClient) -> set[str]:
    """Partitions that lack a copy; all brokers must be known, too."""
    try:
        metadata = admin.list_topics(timeout=ASK_WITHIN_S)
    except KafkaException:
        return {"(no answer)"}
    if len(metadata.brokers) < BROKERS:
        return {"(a broker is not registered)"}
    return {
        f"{topic.topic}[{number}]"
        for topic in metadata.topics.values()
        for number, partition in topic.partitions.items()
        if len(partition.isrs) < len(partition.replicas)
    }
