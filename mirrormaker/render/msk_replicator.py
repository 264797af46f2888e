"""Amazon MSK Replicator.

The request for ``CreateReplicator``. At least once, without transactions, to the same names.
"""

from __future__ import annotations

import json

from mirrormaker.topology import Cluster, Flow
from schemas.errors import ConfigError

REASONS = {
    "KafkaClusters": "Both clusters by ARN, with the network to each. Without it nothing can be created.",
    "ServiceExecutionRoleArn": "The role whose policy stands beside this file. Without it nothing can be created.",
    "TopicNameConfiguration": "IDENTICAL keeps names. Without it topics get the source's alias in front.",
    "TopicsToReplicate": "Exactly the feeds' topics, as regular expressions. A wider one copies positions too.",
    "StartingPosition": "EARLIEST copies what is there already. Without it (LATEST) all before the start is missing.",
    "CopyTopicConfigurations": "false: the target has its own retention and times. Without it they are overwritten.",
    "CopyAccessControlListsForTopics": "false: who may read is decided in each region. Without it ACLs are copied.",
    "DetectAndCopyNewTopics": "true: a topic that appears later is copied. Without it only those of the first day are.",
    "SynchroniseConsumerGroupOffsets": "true: offsets are translated. Without it a group that moves starts anew.",
    "TargetCompressionType": "LZ4, as the producers use. Without it the request is refused.",
}


def render_msk_replicator(flow: Flow, *, service_execution_role_arn: str) -> dict[str, str]:
    """Files by name; the JSON is the ``--cli-input-json`` of ``aws kafka create-replicator``."""
    base = f"{flow.source.name}-{flow.target.name}"
    request = create_replicator_request(flow, service_execution_role_arn)
    lines = [f"# {flow.name} on MSK Replicator: why each key is there", ""]
    lines += ["Guarantee: at least once. After a failure it may repeat records, so consumers must be idempotent.", ""]
    lines += [f"* `{key}`: {why}" for key, why in REASONS.items()]
    return {
        f"{base}-create-replicator.json": json.dumps(request, indent=2) + "\n",
        f"{base}-reasons.md": "\n".join(lines) + "\n",
    }


def create_replicator_request(flow: Flow, service_execution_role_arn: str) -> dict[str, object]:
    """The request as values.

    Raises:
        ConfigError: a cluster has no ARN or no network.
    """
    _require(flow)
    return {
        "ReplicatorName": f"mirror-{flow.source.name}-{flow.target.name}",
        "Description": f"Mirror {flow.name}, at least once",
        "KafkaClusters": [_cluster(flow.source), _cluster(flow.target)],
        "ReplicationInfoList": [
            {
                "SourceKafkaClusterArn": flow.source.arn,
                "TargetKafkaClusterArn": flow.target.arn,
                "TargetCompressionType": "LZ4",
                "TopicReplication": {
                    "TopicsToReplicate": list(flow.topic_patterns),
                    "TopicNameConfiguration": {"Type": "IDENTICAL"},
                    "StartingPosition": {"Type": "EARLIEST"},
                    "CopyTopicConfigurations": False,
                    "CopyAccessControlListsForTopics": False,
                    "DetectAndCopyNewTopics": True,
                },
                "ConsumerGroupReplication": {
                    "ConsumerGroupsToReplicate": list(flow.group_patterns),
                    "SynchroniseConsumerGroupOffsets": True,
                    "DetectAndCopyNewConsumerGroups": True,
                },
            }
        ],
        "ServiceExecutionRoleArn": service_execution_role_arn,
    }


def _cluster(cluster: Cluster) -> dict[str, object]:
    return {
        "AmazonMskCluster": {"MskClusterArn": cluster.arn},
        "VpcConfig": {"SubnetIds": list(cluster.subnet_ids), "SecurityGroupIds": list(cluster.security_group_ids)},
    }


def _require(flow: Flow) -> None:
    faults = [
        f"Cluster {cluster.name} has no {what}."
        for cluster in (flow.source, flow.target)
        for what, given in (
            ("ARN", cluster.arn),
            ("subnets", cluster.subnet_ids),
            ("security groups", cluster.security_group_ids),
        )
        if not given
    ]
    if faults:
        raise ConfigError(
            faults[0], hint="MSK Replicator finds clusters by ARN; complete feed.yaml.", faults=tuple(faults)
        )
