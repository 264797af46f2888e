"""MirrorMaker on Kubernetes: Strimzi's ``KafkaMirrorMaker2`` resource, API version v1 (Strimzi 0.49 and 1.x).

v1 knows one target, and mirrors with a source each; the heartbeat connector and the old ``clusters`` list are gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mirrormaker.entries import Entry
from mirrormaker.render import connect, logins
from mirrormaker.render.names import strimzi_names
from mirrormaker.topology import Auth, Cluster, Flow, IamAuth, NoAuth, ScramAuth, TlsAuth
from mirrormaker.yaml_lines import Items, Node, Scalar, yaml_text
from schemas.errors import ConfigError

API_VERSION = "kafka.strimzi.io/v1"

_WRITTEN_BY_STRIMZI = (
    "connector.class",
    "name",
    "topics",
    "groups",
    "tasks.max",
    "bootstrap.servers",
    "source.cluster.",
    "target.cluster.",
)
"""Keys that have a field of their own in the resource.

The operator fills them in and refuses or overwrites them here.
"""


@dataclass(frozen=True)
class StrimziDeployment:
    """What only the Kubernetes cluster knows.

    Attributes:
        namespace: where the resource lives; empty: whatever ``kubectl`` is pointed at.
        version: Kafka version of the image.
        replicas: workers in the group.
        image: an image with more jars than Strimzi's own; needed for IAM (aws-msk-iam-auth).
    """

    namespace: str = ""
    version: str = "4.3.0"
    replicas: int = 2
    image: str = ""


def render_strimzi(flow: Flow, deployment: StrimziDeployment | None = None) -> dict[str, str]:
    """The resource's file by name.

    Raises:
        ConfigError: a cluster uses IAM and no image with the login module is named.
    """
    chosen = deployment or StrimziDeployment()
    uses_iam = any(isinstance(cluster.auth, IamAuth) for cluster in (flow.source, flow.target))
    if uses_iam and not chosen.image:
        raise ConfigError(
            "IAM needs aws-msk-iam-auth in the image, and Strimzi's own image has no such jar.",
            hint="Build one from Strimzi's image with the jar in /opt/kafka/libs, and name it (--image).",
        )
    header = (
        f"MirrorMaker 2 on Strimzi: {flow.name}. Written by feed mirror render.\n"
        f"Apply it in {flow.target.name}'s region. Guarantee: once."
    )
    return {f"{flow.source.name}-{flow.target.name}-kafkamirrormaker2.yaml": yaml_text(header, _resource(flow, chosen))}


def _resource(flow: Flow, deployment: StrimziDeployment) -> tuple[Node, ...]:
    name = Node("name", f"mirror-{flow.source.name}-{flow.target.name}")
    namespace = (Node("namespace", deployment.namespace),) if deployment.namespace else ()
    image = (
        (Node("image", deployment.image, "Strimzi's image with more jars. Without it the login module is missing."),)
        if deployment.image
        else ()
    )
    return (
        Node("apiVersion", API_VERSION, "v1beta2 is refused from Strimzi 1.0 on."),
        Node("kind", "KafkaMirrorMaker2"),
        Node("metadata", (name, *namespace)),
        Node(
            "spec",
            (
                Node(
                    "version",
                    deployment.version,
                    "Said aloud, so that an upgrade of the operator does not upgrade Kafka.",
                ),
                Node("replicas", deployment.replicas, "Two: one can go. Without it there are three."),
                *image,
                Node("target", _target(flow)),
                Node("mirrors", Items((_mirror(flow),))),
            ),
        ),
    )


def _target(flow: Flow) -> tuple[Node, ...]:
    names = strimzi_names(flow)
    offsets, configs, status = names.worker_topics
    factor = flow.target.replication_factor
    stores = tuple(
        Node(f"{store}.storage.replication.factor", factor, "Without it 3, which a cluster of fewer brokers refuses.")
        for store in ("config", "offset", "status")
    )
    return (
        *_cluster(flow.target),
        Node("groupId", names.group_id, "The workers' group; transactional ids begin with it."),
        Node("configStorageTopic", configs, "Of this flow alone. Required by v1."),
        Node("offsetStorageTopic", offsets, "Of this flow alone. Required by v1."),
        Node("statusStorageTopic", status, "Of this flow alone. Required by v1."),
        Node(
            "config",
            (
                *_nodes(connect.converter_entries()),
                Node(
                    "exactly.once.source.support",
                    "enabled",
                    "Records and their source offsets are one transaction. Without it up to a minute of records is "
                    "copied "
                    "twice after a crash.",
                ),
                Node(
                    "scheduled.rebalance.max.delay.ms",
                    0,
                    "A lost worker's tasks are given out at once. Without it nothing of them is copied for five "
                    "minutes.",
                ),
                *stores,
            ),
        ),
    )


def _mirror(flow: Flow) -> tuple[Node, ...]:
    source = connect.source_connector(flow, strimzi_names(flow))
    checkpoint = connect.checkpoint_connector(flow, strimzi_names(flow))
    return (
        Node("source", _cluster(flow.source)),
        Node(
            "topicsPattern",
            "|".join(flow.topic_patterns),
            "Exactly the feeds' topics. Without it every topic is copied.",
        ),
        Node(
            "groupsPattern",
            "|".join(flow.group_patterns),
            "The feeds' own groups. Without it every group is translated.",
        ),
        Node("sourceConnector", _connector(flow.tasks_max, (entry for part in source for entry in part.entries))),
        Node("checkpointConnector", _connector(1, (entry for part in checkpoint for entry in part.entries))),
    )


def _connector(tasks_max: int, entries: Iterable[Entry]) -> tuple[Node, ...]:
    kept = [entry for entry in entries if not entry.key.startswith(_WRITTEN_BY_STRIMZI)]
    return (
        Node("tasksMax", tasks_max, "Tasks that share the work. Without it one does all."),
        Node(
            "autoRestart",
            (Node("enabled", value=True, why="The operator starts failed tasks again. Without it they stay failed."),),
        ),
        Node("config", _nodes(kept)),
    )


def _cluster(cluster: Cluster) -> tuple[Node, ...]:
    return (
        Node("alias", cluster.name, "Its name in metrics and internal topics."),
        Node("bootstrapServers", cluster.bootstrap_servers),
        *_security(cluster.name, cluster.auth),
    )


def _security(name: str, auth: Auth) -> tuple[Node, ...]:
    match auth:
        case NoAuth():
            return ()
        case TlsAuth():
            return (*_trust(name, private=bool(auth.truststore_location)), *_certificate(name, auth))
        case ScramAuth():
            password = (Node("secretName", f"{name}-mirror"), Node("password", "password"))
            return (
                *_trust(name, private=bool(auth.truststore_location)),
                Node(
                    "authentication",
                    (
                        Node("type", auth.mechanism.lower()),
                        Node("username", auth.username),
                        Node("passwordSecret", password, "A Kubernetes secret: the password is never in this file."),
                    ),
                ),
            )
        case IamAuth():
            login = tuple(entry for entry in logins.auth_entries(auth) if entry.key.startswith("sasl."))
            return (
                *_trust(name, private=False),
                Node(
                    "authentication",
                    (
                        Node("type", "custom", "Strimzi has no IAM type of its own."),
                        Node("sasl", value=True),
                        Node("config", _nodes(login)),
                    ),
                ),
            )


def _trust(name: str, *, private: bool) -> tuple[Node, ...]:
    if private:
        authority = (Node("secretName", f"{name}-ca"), Node("pattern", "*.crt"))
        return (
            Node("tls", (Node("trustedCertificates", Items((authority,)), "Whom to trust: a secret with PEM files."),)),
        )
    return (
        Node("tls", (Node("trustedCertificates", Items(()), "Empty: encrypted, public authorities are trusted."),)),
    )


def _certificate(name: str, auth: TlsAuth) -> tuple[Node, ...]:
    if not auth.certificate_location:
        return ()
    parts = (Node("secretName", f"{name}-mirror"), Node("certificate", "tls.crt"), Node("key", "tls.key"))
    return (Node("authentication", (Node("type", "tls"), Node("certificateAndKey", parts))),)


def _nodes(entries: Iterable[Entry]) -> tuple[Node, ...]:
    return tuple(Node(entry.key, _scalar(entry.value), entry.why) for entry in entries)


def _scalar(value: str) -> Scalar:
    if value in {"true", "false"}:
        return value == "true"
    return int(value) if value.lstrip("-").isdigit() else value
