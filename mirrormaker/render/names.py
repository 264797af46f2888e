"""What a form calls its groups, connectors and internal topics: the keys set them, and the policies must allow them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mirrormaker.topology import Flow

TRANSACTIONAL_ID_OF_WORKERS = "connect-cluster-"
"""Connect's leader writes its configurations under this prefix and the group id (KIP-618)."""


@dataclass(frozen=True)
class Names:
    """The names of one flow in one form.

    Attributes:
        group_id: the workers' group at the target; a task's transactional id is ``<group_id>-<connector>-<task>``.
        source_connector: the connector that copies records.
        checkpoint_connector: the connector that translates offsets.
        worker_topics: offsets, configurations, states; in this order.
        heartbeats: whether a heartbeat connector is there and makes its topic.
        prefixes: where a service names group, worker topics and transactional ids itself: what they begin with.
    """

    group_id: str
    source_connector: str
    checkpoint_connector: str
    worker_topics: tuple[str, str, str]
    heartbeats: bool = False
    prefixes: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """The workers' group; a name that ends in ``*`` is a prefix."""
        return tuple(f"{prefix}*" for prefix in self.prefixes) or (self.group_id,)

    @property
    def transactional_id_prefixes(self) -> tuple[str, ...]:
        """All transactional ids of the form begin with one of these."""
        return self.prefixes or (f"{TRANSACTIONAL_ID_OF_WORKERS}{self.group_id}", f"{self.group_id}-")

    def internal_topics(self, flow: Flow) -> tuple[str, ...]:
        """Every topic at the target that only MirrorMaker uses."""
        source = flow.source.name
        heartbeats = ("heartbeats",) if self.heartbeats else ()
        # of a service's prefixes only those of AWS's own are topics
        workers = tuple(f"{prefix}*" for prefix in self.prefixes if prefix.startswith("__")) or self.worker_topics
        return (
            *workers,
            f"mm2-offset-syncs.{source}.internal",
            f"{source}.checkpoints.internal",
            *heartbeats,
        )


def dedicated_names(flow: Flow) -> Names:
    """MirrorMaker chooses these itself (MirrorMakerConfig.workerConfig)."""
    source = flow.source.name
    return Names(
        group_id=f"{source}-mm2",
        source_connector="MirrorSourceConnector",
        checkpoint_connector="MirrorCheckpointConnector",
        worker_topics=(
            f"mm2-offsets.{source}.internal",
            f"mm2-configs.{source}.internal",
            f"mm2-status.{source}.internal",
        ),
        heartbeats=True,
    )


def connect_names(flow: Flow) -> Names:
    """On a Connect cluster of our own."""
    base = f"mirror-{flow.source.name}-{flow.target.name}"
    return Names(
        group_id=base,
        source_connector=f"{base}-source",
        checkpoint_connector=f"{base}-checkpoint",
        worker_topics=(f"{base}.offsets", f"{base}.configs", f"{base}.status"),
    )


def strimzi_names(flow: Flow) -> Names:
    """Strimzi names the connectors after the flow."""
    base = connect_names(flow)
    return Names(
        group_id=base.group_id,
        source_connector=f"{flow.name}.MirrorSourceConnector",
        checkpoint_connector=f"{flow.name}.MirrorCheckpointConnector",
        worker_topics=base.worker_topics,
    )


def msk_connect_names(flow: Flow) -> Names:
    """MSK Connect names group and worker topics itself (its documented IAM policy has these prefixes)."""
    return replace(connect_names(flow), prefixes=("__amazon_msk_connect_", "connect-"))


def msk_replicator_names(flow: Flow) -> Names:
    """MSK Replicator runs no workers that anyone can see."""
    return replace(connect_names(flow), prefixes=("__amazon_msk_",))
