"""MirrorMaker on Amazon MSK Connect: requests for ``CreateWorkerConfiguration`` and ``CreateConnector``.

MSK Connect 3.7 decides what a worker may set. Its list of supported worker keys
(https://docs.aws.amazon.com/msk/latest/developerguide/msk-connect-supported-worker-config-properties.html) admits
``exactly.once.source.support`` by not refusing it, but not ``scheduled.rebalance.max.delay.ms`` and few client
settings; the client settings therefore go into the connector as overrides. What AWS really runs was not observed, so
the guarantee that is stated is at least once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from mirrormaker.entries import Entry, Section, as_mapping, properties_text
from mirrormaker.render import connect
from mirrormaker.render.names import connect_names
from mirrormaker.topology import Cluster, Flow, IamAuth, NoAuth, ScramAuth, TlsAuth
from schemas.errors import ConfigError

CONNECT_VERSION = "3.7.x"
_NEWER_KEYS = frozenset({"heartbeats.replication.enabled"})


@dataclass(frozen=True)
class MskConnectDeployment:
    """What only the account knows.

    Attributes:
        service_execution_role_arn: the role that the connectors run as; the policy beside these files belongs to it.
        plugin_arn: a custom plugin with connect-mirror of the same Kafka version and aws-msk-iam-auth.
        plugin_revision: its revision.
        worker_configuration_arn: of the worker configuration, once it has been created from these files.
        log_group: CloudWatch log group of the workers.
    """

    service_execution_role_arn: str
    plugin_arn: str
    plugin_revision: int = 1
    worker_configuration_arn: str = "arn:aws:kafkaconnect:REGION:ACCOUNT:worker-configuration/NAME/ID"
    log_group: str = "/changefeed/mirror"


def render_msk_connect(flow: Flow, deployment: MskConnectDeployment) -> dict[str, str]:
    """Files by name; the JSON files are the ``--cli-input-json`` of ``aws kafkaconnect``."""
    base = f"{flow.source.name}-{flow.target.name}"
    names = connect_names(flow)
    documents = {
        "source": _known_here(connect.source_connector(flow)),
        "checkpoint": _known_here(connect.checkpoint_connector(flow)),
    }
    worker = properties_text(_WORKER_HEADER, worker_sections())
    files = {
        f"{base}-worker.properties": worker,
        f"{base}-create-worker-configuration.json": _json(
            {"name": names.group_id, "description": f"Mirror {flow.name}", "propertiesFileContent": worker}
        ),
        f"{base}-reasons.md": connect.reasons_page(
            f"{flow.name} on MSK Connect", {f"{name} connector": sections for name, sections in documents.items()}
        ),
    }
    for role, sections in documents.items():
        request = create_connector_request(flow, deployment, role, sections)
        files[f"{base}-create-{role}-connector.json"] = _json(request)
    return files


def worker_sections() -> tuple[Section, ...]:
    """The worker configuration: only keys that MSK Connect admits."""
    return (
        Section("bytes stay bytes", connect.converter_entries()),
        Section(
            "exactly once",
            (
                Entry(
                    "exactly.once.source.support",
                    "enabled",
                    "Asks for records and offsets in one transaction. Without it up to a minute of records is copied "
                    "twice "
                    "after a crash.",
                ),
            ),
        ),
    )


def create_connector_request(
    flow: Flow, deployment: MskConnectDeployment, role: str, sections: tuple[Section, ...]
) -> dict[str, object]:
    """The request of one connector, beside the target cluster."""
    target = flow.target
    _require(flow)
    logs = {"cloudWatchLogs": {"enabled": True, "logGroup": deployment.log_group}}
    return {
        "connectorName": f"{connect_names(flow).group_id}-{role}",
        "connectorDescription": f"MirrorMaker 2, {flow.name}, {role}",
        "kafkaConnectVersion": CONNECT_VERSION,
        # one worker: five minutes without copying follow each rebalance that loses one, and the delay cannot be set
        "capacity": {"provisionedCapacity": {"mcuCount": 1, "workerCount": 1}},
        "connectorConfiguration": as_mapping(sections),
        "kafkaCluster": {
            "apacheKafkaCluster": {
                "bootstrapServers": target.bootstrap_servers,
                "vpc": {"subnets": list(target.subnet_ids), "securityGroups": list(target.security_group_ids)},
            }
        },
        "kafkaClusterClientAuthentication": {
            "authenticationType": "IAM" if isinstance(target.auth, IamAuth) else "NONE"
        },
        "kafkaClusterEncryptionInTransit": {
            "encryptionType": "PLAINTEXT" if isinstance(target.auth, NoAuth) else "TLS",
        },
        "logDelivery": {"workerLogDelivery": logs},
        "plugins": [
            {"customPlugin": {"customPluginArn": deployment.plugin_arn, "revision": deployment.plugin_revision}}
        ],
        "serviceExecutionRoleArn": deployment.service_execution_role_arn,
        "workerConfiguration": {"workerConfigurationArn": deployment.worker_configuration_arn, "revision": 1},
    }


def _known_here(sections: tuple[Section, ...]) -> tuple[Section, ...]:
    """Without the keys that its Kafka version does not have."""
    return tuple(
        Section(section.title, tuple(entry for entry in section.entries if entry.key not in _NEWER_KEYS))
        for section in sections
    )


def _needs_the_machine(cluster: Cluster) -> bool:
    """Its login reads a variable or a file, and nobody can give a worker of the service either."""
    return isinstance(cluster.auth, ScramAuth) or (isinstance(cluster.auth, TlsAuth) and cluster.auth != TlsAuth())


def _require(flow: Flow) -> None:
    target = flow.target
    faults = []
    if _needs_the_machine(flow.source):
        faults.append(
            f"MSK Connect cannot log in to cluster {flow.source.name}: its workers have no variables and files of ours."
        )
    if not target.subnet_ids:
        faults.append(f"Cluster {target.name} has no subnets.")
    if not target.security_group_ids:
        faults.append(f"Cluster {target.name} has no security groups.")
    if _needs_the_machine(target):
        faults.append(f"MSK Connect reaches cluster {target.name} by IAM or without login only.")
    if faults:
        raise ConfigError(
            faults[0],
            hint="Complete the cluster in feed.yaml (IAM, or no login), or render another form, such as connect.",
            faults=tuple(faults),
        )


_WORKER_HEADER = (
    "MSK Connect worker configuration. Written by feed mirror render.\n"
    "Create it first (create-worker-configuration.json), then put its ARN into the connectors' requests.\n"
    "Guarantee: at least once. scheduled.rebalance.max.delay.ms is not admitted: a lost worker means up to five\n"
    "minutes without copying."
)


def _json(document: object) -> str:
    return json.dumps(document, indent=2) + "\n"
