"""What the copy must be allowed to do, and nothing more: as an IAM policy for MSK, and as Kafka ACLs.

MSK's actions: https://docs.aws.amazon.com/msk/latest/developerguide/kafka-actions.html. Exactly once adds
``WriteDataIdempotently`` on the cluster and ``AlterTransactionalId`` on the workers' and tasks' transactional ids.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mirrormaker.render.names import Names
from mirrormaker.topology import Cluster, Flow, IamAuth
from schemas.errors import ConfigError

Kind = Literal["cluster", "topic", "group", "transactional-id"]


@dataclass(frozen=True)
class Grant:
    """Operations on resources of one kind; a name that ends in ``*`` is a prefix.

    Attributes:
        sid: a statement's name in the IAM policy.
        kind: what is meant.
        names: which ones; empty for the cluster itself.
        iam: IAM actions without ``kafka-cluster:``.
        acl: operations of Kafka's own authorizer.
    """

    sid: str
    kind: Kind
    names: tuple[str, ...]
    iam: tuple[str, ...]
    acl: tuple[str, ...]


def source_grants(flow: Flow) -> tuple[Grant, ...]:
    """At the source the copy only reads."""
    groups = tuple(f"{feed}.*" for feed in flow.feeds)
    return (
        Grant("Connect", "cluster", (), ("Connect", "DescribeCluster"), ("Describe",)),
        Grant(
            "ReadTheFeeds",
            "topic",
            flow.topics,
            ("DescribeTopic", "DescribeTopicDynamicConfiguration", "ReadData"),
            ("Describe", "DescribeConfigs", "Read"),
        ),
        Grant("SeeTheirGroups", "group", groups, ("DescribeGroup",), ("Describe",)),
    )


def target_grants(flow: Flow, names: Names) -> tuple[Grant, ...]:
    """At the target it writes the copies, keeps its own topics, and commits translated offsets."""
    groups = tuple(f"{feed}.*" for feed in flow.feeds)
    return (
        Grant(
            "ConnectAndWriteOnce",
            "cluster",
            (),
            ("Connect", "DescribeCluster", "WriteDataIdempotently"),
            ("Describe", "IdempotentWrite"),
        ),
        Grant(
            "WriteTheCopies",
            "topic",
            flow.topics,
            # ReadData: committing a group's offset for a topic needs it; CreateTopic and AlterTopic: a new partition
            (
                "CreateTopic",
                "DescribeTopic",
                "AlterTopic",
                "DescribeTopicDynamicConfiguration",
                "ReadData",
                "WriteData",
            ),
            ("Create", "Describe", "Alter", "DescribeConfigs", "Read", "Write"),
        ),
        Grant(
            "KeepItsOwnTopics",
            "topic",
            names.internal_topics(flow),
            ("CreateTopic", "DescribeTopic", "DescribeTopicDynamicConfiguration", "ReadData", "WriteData"),
            ("Create", "Describe", "DescribeConfigs", "Read", "Write"),
        ),
        Grant("JoinItsWorkers", "group", names.groups, ("AlterGroup", "DescribeGroup"), ("Read", "Describe")),
        Grant("CommitTranslatedOffsets", "group", groups, ("AlterGroup", "DescribeGroup"), ("Read", "Describe")),
        Grant(
            "OneTransactionEach",
            "transactional-id",
            tuple(f"{prefix}*" for prefix in names.transactional_id_prefixes),
            ("AlterTransactionalId", "DescribeTransactionalId"),
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
    groups = Grant("Groups", "group", ("*",), ("AlterGroup", "DescribeGroup"), ("Read", "Describe"))
    target = Grant(
        "Topics",
        "topic",
        topics,
        (
            "CreateTopic",
            "DescribeTopic",
            "AlterTopic",
            "DescribeTopicDynamicConfiguration",
            "AlterTopicDynamicConfiguration",
            "ReadData",
            "WriteData",
        ),
        (),
    )
    cluster = Grant(
        "Connect", "cluster", (), ("Connect", "DescribeCluster", "AlterCluster", "WriteDataIdempotently"), ()
    )
    source = source_grants(flow)
    internal = Grant(
        "ItsOwnTopics",
        "topic",
        ("__amazon_msk_*",),
        ("CreateTopic", "DescribeTopic", "AlterTopic", "ReadData", "WriteData"),
        (),
    )
    statements = [
        *_statements(flow.source, "Source", (*source, internal, groups)),
        *_statements(flow.target, "Target", (cluster, target, groups)),
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"


def acl_commands(flow: Flow, names: Names, *, principal: str = "User:mirror") -> str:
    """The same as ``kafka-acls.sh`` commands, a block for each cluster with Kafka's own authorizer."""
    lines = [f"# What {principal} needs for {flow.name}. Written by feed mirror render."]
    for cluster, grants in ((flow.source, source_grants(flow)), (flow.target, target_grants(flow, names))):
        if not _asks_iam(cluster):
            lines += ["", f"# at {cluster.name}"]
            lines += [
                _acl_command(cluster, grant, name, principal) for grant in grants for name in grant.names or ("",)
            ]
    return "\n".join(lines) + "\n"


def _asks_iam(cluster: Cluster) -> bool:
    return isinstance(cluster.auth, IamAuth)


def _statements(cluster: Cluster, where: str, grants: Iterable[Grant]) -> list[dict[str, object]]:
    if not cluster.arn:
        raise ConfigError(
            f"Cluster {cluster.name} has no ARN.",
            hint="The policy names resources by it: give --source-arn, and --target-arn with --region.",
        )
    return [
        {
            "Sid": f"{where}{grant.sid}",
            "Effect": "Allow",
            "Action": [f"kafka-cluster:{action}" for action in grant.iam],
            "Resource": [_arn(cluster, grant.kind, name) for name in grant.names] or [cluster.arn],
        }
        for grant in grants
    ]


def _arn(cluster: Cluster, kind: Kind, name: str) -> str:
    """``arn:aws:kafka:eu-west-1:1:cluster/feed/uuid`` → ``arn:aws:kafka:eu-west-1:1:topic/feed/uuid/orders``."""
    return f"{cluster.arn.replace(':cluster/', f':{kind}/', 1)}/{name}"


def _acl_command(cluster: Cluster, grant: Grant, name: str, principal: str) -> str:
    operations = " ".join(f"--operation {operation}" for operation in grant.acl)
    resource = "--cluster" if grant.kind == "cluster" else f"--{grant.kind} {shlex.quote(name.removesuffix('*'))}"
    pattern = " --resource-pattern-type prefixed" if name.endswith("*") else ""
    return (
        f"kafka-acls.sh --bootstrap-server {cluster.bootstrap_servers} --command-config admin.properties --add "
        f"--allow-principal {shlex.quote(principal)} {operations} {resource}{pattern}"
    )
