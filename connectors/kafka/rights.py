"""What a process may do on a cluster, and no more: said once, told as an MSK IAM policy or as Kafka's own ACLs.

MSK's actions: https://docs.aws.amazon.com/msk/latest/developerguide/kafka-actions.html. Each of Kafka's operations on a
kind of resource is one of them, so the two forms cannot differ.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["cluster", "topic", "group", "transactional-id"]

_IAM: Final[dict[tuple[Kind, str], tuple[str, ...]]] = {
    ("cluster", "Describe"): ("Connect", "DescribeCluster"),
    ("cluster", "IdempotentWrite"): ("WriteDataIdempotently",),
    ("cluster", "Alter"): ("AlterCluster",),
    ("topic", "Create"): ("CreateTopic",),
    ("topic", "Describe"): ("DescribeTopic",),
    ("topic", "Alter"): ("AlterTopic",),
    ("topic", "DescribeConfigs"): ("DescribeTopicDynamicConfiguration",),
    ("topic", "AlterConfigs"): ("AlterTopicDynamicConfiguration",),
    ("topic", "Delete"): ("DeleteTopic",),
    ("topic", "Read"): ("ReadData",),
    ("topic", "Write"): ("WriteData",),
    ("group", "Read"): ("AlterGroup",),
    ("group", "Describe"): ("DescribeGroup",),
    ("group", "Delete"): ("DeleteGroup",),
    ("transactional-id", "Write"): ("AlterTransactionalId",),
    ("transactional-id", "Describe"): ("DescribeTransactionalId",),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """Operations on resources of one kind; a name that ends in ``*`` is a prefix.

    Attributes:
        sid: a statement's name in the IAM policy.
        kind: what is meant.
        names: which ones; empty for the cluster itself.
        operations: of Kafka's own authorizer, for example ``Describe``, ``Read``.
    """

    sid: str
    kind: Kind
    names: tuple[str, ...]
    operations: tuple[str, ...]

    @property
    def iam(self) -> tuple[str, ...]:
        """The same as MSK's actions, without ``kafka-cluster:``."""
        return tuple(action for operation in self.operations for action in _IAM[self.kind, operation])


def iam_statements(cluster_arn: str, where: str, grants: Iterable[Grant]) -> list[dict[str, Any]]:
    """Statements of an IAM policy.

    Args:
        cluster_arn: MSK's name of the cluster, ``arn:aws:kafka:eu-west-1:111122223333:cluster/feed/1f2e…``.
        where: begins each statement's name.
        grants: what is allowed.
    """
    return [
        {
            "Sid": f"{where}{grant.sid}",
            "Effect": "Allow",
            "Action": [f"kafka-cluster:{action}" for action in grant.iam],
            "Resource": [_arn(cluster_arn, grant.kind, name) for name in grant.names] or [cluster_arn],
        }
        for grant in grants
    ]


def acl_commands(bootstrap_servers: str, principal: str, grants: Iterable[Grant]) -> list[str]:
    """``kafka-acls.sh`` commands that allow the same to a principal (``User:…``), one for each resource."""
    return [
        _acl_command(bootstrap_servers, principal, grant, name) for grant in grants for name in grant.names or ("",)
    ]


def _arn(cluster_arn: str, kind: Kind, name: str) -> str:
    """``arn:aws:kafka:eu-west-1:1:cluster/feed/uuid`` → ``arn:aws:kafka:eu-west-1:1:topic/feed/uuid/orders``."""
    return f"{cluster_arn.replace(':cluster/', f':{kind}/', 1)}/{name}"


def _acl_command(bootstrap_servers: str, principal: str, grant: Grant, name: str) -> str:
    operations = " ".join(f"--operation {operation}" for operation in grant.operations)
    resource = "--cluster" if grant.kind == "cluster" else f"--{grant.kind} {shlex.quote(name.removesuffix('*'))}"
    pattern = " --resource-pattern-type prefixed" if name.endswith("*") else ""
    return (
        f"kafka-acls.sh --bootstrap-server {bootstrap_servers} --command-config admin.properties --add "
        f"--allow-principal {shlex.quote(principal)} {operations} {resource}{pattern}"
    )
