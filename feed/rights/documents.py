"""Rights as documents: an IAM policy for each process, and a script of ACLs where a cluster does not ask IAM."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.kafka import IamAuth, ScramAuth, acl_commands, iam_statements
from feed.config import FeedConfig
from feed.rights.aws import Statement, aws_statements
from feed.rights.kafka import kafka_grants
from feed.rights.processes import OfProcess, process_named
from schemas.errors import ConfigError

POLICY_MAX_CHARS = 6_144
"""Of a managed policy, blanks not counted (IAM quotas)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a policy names and a feed does not know.

    Attributes:
        account: number of the AWS account.
        clusters: region of ``feed.yaml`` → ARN of its MSK cluster; only clusters that ask IAM need one.
        principal: whom ACLs name, where SCRAM's user name does not tell it; ``{process}`` becomes the process's name.
    """

    account: str
    clusters: Mapping[str, str] = field(default_factory=dict)
    principal: str = "User:{process}"


@dataclass(frozen=True, slots=True)
class Rights:
    """What one process may do.

    Attributes:
        process: its name.
        command: what it runs.
        policy: an IAM policy document; empty where the process asks nothing of AWS.
        acls: a script of ``kafka-acls.sh`` commands; empty where every cluster that it uses asks IAM, or nothing.
    """

    process: str
    command: str
    policy: str
    acls: str

    def files(self) -> dict[str, str]:
        """File name → what is in it."""
        named = {f"{self.process}-iam-policy.json": self.policy, f"{self.process}-acls.sh": self.acls}
        return {name: text for name, text in named.items() if text}


def rights_of(config: FeedConfig, name: str, facts: Facts) -> Rights:
    """The rights of one process.

    Raises:
        ConfigError: there is no such process, or a cluster that asks IAM has no ARN.
    """
    process = process_named(config, name)
    statements = aws_statements(config, process, facts.account)
    lines: list[str] = []
    for region, grants in kafka_grants(config, process).items():
        kafka = config.regions[region].kafka
        if isinstance(kafka.auth, IamAuth):
            statements += iam_statements(_arn(region, facts), region.title().replace("-", ""), grants)
        elif kafka.auth.kind != "none":
            whom = f"User:{kafka.auth.username}" if isinstance(kafka.auth, ScramAuth) else _principal(facts, process)
            lines += ["", f"# at {region}", *acl_commands(kafka.bootstrap_servers, whom, grants)]
    return Rights(process.name, process.command, _policy(statements), _script(process.command, lines))


def _principal(facts: Facts, process: OfProcess) -> str:
    return facts.principal.replace("{process}", process.name)


def _arn(region: str, facts: Facts) -> str:
    arn = facts.clusters.get(region, "")
    if ":cluster/" not in arn:
        raise ConfigError(
            f"the cluster of region {region} asks IAM, and its ARN is not known" if not arn else f"{arn} is no cluster",
            hint=f"--cluster {region}=arn:aws:kafka:…:cluster/NAME/ID (`aws kafka list-clusters-v2` shows it)",
        )
    return arn


def _policy(statements: list[Statement]) -> str:
    if not statements:
        return ""
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"


def _script(command: str, lines: list[str]) -> str:
    return (
        "\n".join(["#!/bin/sh", f"# What `{command}` may do. Written by feed rights.", *lines]) + "\n" if lines else ""
    )
