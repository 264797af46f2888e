"""What the copy must be allowed to do, and nothing more: as an IAM policy for MSK, and as Kafka ACLs.

Exactly once adds ``WriteDataIdempotently`` on the cluster and ``AlterTransactionalId`` on the workers' and tasks'
transactional ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from connectors.kafka import Grant, acl_commands, iam_statements
from mirrormaker.render.names import Names
from mirrormaker.topology import Cluster, Flow, IamAuth
from schemas.errors import ConfigError


def source_grants(flow: Flow) -> tuple[Grant, ...]:
    """At the source the copy only reads."""
    groups = tuple(f"{feed}.*" for feed in flow.feeds)
    return (
        Grant("Connect", "cluster", (), ("Describe",)),
        Grant("ReadTheFeeds", "topic", flow.topics, ("Describe", "DescribeConfigs", "Read")),
        Grant("SeeTheirGroups", "group", groups, ("Describe",)),
    )


def target_grants(flow: Flow, names: Names) -> tuple[Grant, ...]:
    """At the target it writes the copies, keeps its own topics, and commits translated offsets."""
    groups = tuple(f"{feed}.*" for feed in flow.feeds)
    return (
        Grant("ConnectAndWriteOnce", "cluster", (), ("Describe", "IdempotentWrite")),
        Grant(
            "WriteTheCopies",
            "topic",
            flow.topics,
            # Read: committing a group's offset for a topic needs it; Create and Alter: a new partition
            ("Create", "Describe", "Alter", "DescribeConfigs", "Read", "Write"),
        ),
        Grant(
            "KeepItsOwnTopics",
            "topic",
            names.internal_topics(flow),
            ("Create", "Describe", "DescribeConfigs", "Read", "Write"),
        ),
        Grant("JoinItsWorkers", "group", names.groups, ("Read", "Describe")),
        Grant("CommitTranslatedOffsets", "group", groups, ("Read", "Describe")),
        Grant(
            "OneTransactionEach",
            "transactional-id",
            tuple(f"{prefix}*" for prefix in names.transactional_id_prefixes),
            ("Write", "Describe"),
        ),
    )


def iam_policy(flow: Flow, names: Names) -> str:
    """The policy document of the role that runs the copy: for the clusters that ask IAM.

    Raises:
        ConfigError: such a cluster has no ARN.
    """
    statements = [
        *(_statements(flow.source, "Source", source_grants(flow)) if _asks_iam(flow.source) else ()),
        *(_statements(flow.target, "Target", target_grants(flow, names)) if _asks_iam(flow.target) else ()),
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"


def replicator_policy(flow: Flow) -> str:
    """The same for the service execution role of MSK Replicator, whose groups and internal topics AWS names itself."""
    topics = (*flow.topics, "__amazon_msk_*", "__consumer_offsets")
    groups = Grant("Groups", "group", ("*",), ("Read", "Describe"))
    target = Grant(
        "Topics",
        "topic",
        topics,
        ("Create", "Describe", "Alter", "DescribeConfigs", "AlterConfigs", "Read", "Write"),
    )
    cluster = Grant("Connect", "cluster", (), ("Describe", "Alter", "IdempotentWrite"))
    # AWS asks for idempotent writes at both: the replicator keeps topics of its own at the source, too
    writes = Grant("WriteItsOwnTopics", "cluster", (), ("IdempotentWrite",))
    source = (*source_grants(flow), writes)
    internal = Grant(
        "ItsOwnTopics",
        "topic",
        ("__amazon_msk_*",),
        ("Create", "Describe", "Alter", "Read", "Write"),
    )
    statements = [
        *_statements(flow.source, "Source", (*source, internal, groups)),
        *_statements(flow.target, "Target", (cluster, target, groups)),
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"


def trust_policy(service: str, role_arn: str) -> str:
    """Who may take the role: AWS's service, for this account only (the confused deputy).

    Args:
        service: ``kafkaconnect`` or ``kafka``.
        role_arn: the role; its account is the only one.
    """
    account = role_arn.split(":")[4] if role_arn.count(":") >= 5 else "ACCOUNT"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2) + "\n"


def acl_script(flow: Flow, names: Names, *, principal: str = "User:mirror") -> str:
    """The same as ``kafka-acls.sh`` commands, a block for each cluster with Kafka's own authorizer."""
    lines = [f"# What {principal} needs for {flow.name}. Written by feed mirror render."]
    for cluster, grants in ((flow.source, source_grants(flow)), (flow.target, target_grants(flow, names))):
        if not _asks_iam(cluster):
            lines += ["", f"# at {cluster.name}"]
            lines += acl_commands(cluster.bootstrap_servers, principal, grants)
    return "\n".join(lines) + "\n"


def _asks_iam(cluster: Cluster) -> bool:
    return isinstance(cluster.auth, IamAuth)


def _statements(cluster: Cluster, where: str, grants: Iterable[Grant]) -> list[dict[str, Any]]:
    if not cluster.arn:
        raise ConfigError(
            f"Cluster {cluster.name} has no ARN.",
            hint="The policy names resources by it: give --source-arn, and --target-arn with --region.",
        )
    return iam_statements(cluster.arn, where, grants)
