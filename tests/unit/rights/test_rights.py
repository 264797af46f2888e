"""What `feed rights` tells, against the code that needs it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore import xform_name
from botocore.session import get_session
from typer.testing import CliRunner

from connectors.kafka import Grant
from feed.cli import app
from feed.config import FeedConfig, load_config, parse_config
from feed.rights import Facts, process_names, rights_of
from feed.rights.documents import POLICY_MAX_CHARS
from schemas.errors import ConfigError

ROOT = Path(__file__).parents[3]
FEED_YAML = ROOT / "deploy" / "feed.yaml"
CLUSTERS = {
    "eu": "arn:aws:kafka:eu-west-1:111122223333:cluster/feed-eu/1f2e-7",
    "us": "arn:aws:kafka:us-east-1:111122223333:cluster/feed-us/5d6c-3",
    "ap": "arn:aws:kafka:ap-southeast-2:111122223333:cluster/feed-ap/9b8a-1",
}
FACTS = Facts("111122223333", CLUSTERS)

SERVICES = ("dynamodb", "dynamodbstreams", "s3", "kms", "sqs", "sns", "sesv2", "redshift-data", "glue")

ACTION_OF = {
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
}
"""Calls whose action has another name; of all others it is that of the call."""

BY_A_PERSON = {
    "CreateBucket": "feed archive apply",
    "CreateTable": "local regions only",
    "GetBucketLifecycleConfiguration": "feed archive plan",
    "GetBucketVersioning": "feed archive plan",
    "GetObjectLockConfiguration": "feed archive plan",
    "GetPublicAccessBlock": "feed archive plan",
    "HeadBucket": "feed archive plan",
    "ListSchemas": "feed schemas list",
    "PutBucketLifecycleConfiguration": "feed archive apply",
    "PutPublicAccessBlock": "feed archive apply",
}
"""Calls that no process makes, but a command that a person gives with rights of their own."""


def everything() -> FeedConfig:
    """The deployed feed, with each optional part in use."""
    raw = yaml.safe_load(FEED_YAML.read_text().replace("${", "").replace(":-", "#").replace("9098}", "9098"))
    raw["producer"] = {"gap_policy": "resnapshot"}
    raw["schemas"] = {"framing": "glue", "registry": {"kind": "glue", "auto_register": True}}
    consumers = raw["consumers"]
    consumers["warehouse"]["sink"] = {
        "look_up": {"table": "orders", "version_attribute": "revision", "attributes": ["customerId"]},
        "hand_over": {"kind": "sqs", "queue_url": "https://sqs.us-east-1.amazonaws.com/111122223333/picks.fifo"},
    }
    consumers["audit"]["sink"] |= {"signing_kms_key": "1234", "anchor_table": "anchors"}
    for kind, messenger in {
        "ses": {"sender": "Shop <shop@example.com>", "configuration_set": "shop"},
        "sns": {"topic_arn": "arn:aws:sns:eu-west-1:111122223333:told"},
    }.items():
        sink = {"messenger": {"kind": kind, **messenger}}
        consumers[f"notification-{kind}"] = {"kind": "notification", "region": "eu", "sink": sink}
    return parse_config(yaml.safe_dump(raw), variables={})


def statements(config: FeedConfig, name: str) -> list[dict[str, Any]]:
    return json.loads(rights_of(config, name, FACTS).policy)["Statement"]  # type: ignore[no-any-return]


def calls_in_the_code() -> set[str]:
    """Operations of AWS's services that connectors, producers and consumers call, by their names in botocore."""
    session = get_session()
    operations = {
        xform_name(operation): operation
        for service in SERVICES
        for operation in session.get_service_model(service).operation_names
    }
    found = set()
    for folder in ("connectors", "producers", "consumers"):
        for file in (ROOT / folder).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            found_by = (
                r"(?:client|_glue|_streams|_tables)\.([a-z_0-9]+)\(",
                r"(?:_call|get_paginator)\(\s*\"([a-z_0-9]+)\"",
            )
            named = {name for pattern in found_by for name in re.findall(pattern, text)} - {"subscribe"}  # Kafka's
            found |= {operations[name] for name in named if name in operations}
            found |= set(re.findall(r"\.call\(\"([A-Za-z]+)\"", text))
    return found


def test_every_call_in_the_code_is_allowed_to_some_process() -> None:
    """A new call to AWS needs a right, or a command that a person gives."""
    config = everything()
    allowed = {action for name in process_names(config) for one in statements(config, name) for action in one["Action"]}
    names = {action.partition(":")[2] for action in allowed}
    called = calls_in_the_code()
    assert len(called) > 25
    lacking = {
        call
        for call in called - set(BY_A_PERSON)
        if (ACTION_OF[call] not in allowed if call in ACTION_OF else call not in names)
    }
    assert lacking == set()
    assert set(BY_A_PERSON) <= called


def test_nothing_is_allowed_that_nobody_calls_and_nothing_deletes() -> None:
    """Each action is that of a call, or one that a call needs besides; none takes away what was kept."""
    besides = {
        "AbortMultipartUpload",
        "GetCredentials",
        "GetObjectVersion",
        "ListBucketVersions",
        "PutObjectRetention",
    }
    config = everything()
    needed = {ACTION_OF.get(call, f":{call}").partition(":")[2] for call in calls_in_the_code()} | besides
    for name in process_names(config):
        for statement in statements(config, name):
            for action in statement["Action"]:
                service, _, call = action.partition(":")
                assert "Delete" not in call
                assert "*" not in action
                assert service == "kafka-cluster" or call in needed, action


@pytest.mark.parametrize("config", [load_config(FEED_YAML), everything()], ids=["deployed", "everything"])
def test_policies_are_such_as_iam_takes(config: FeedConfig) -> None:
    """Names of statements are letters and digits and unique, the size is within a managed policy's, ARNs are whole."""
    for name in process_names(config):
        policy = rights_of(config, name, FACTS).policy
        assert len(re.sub(r"\s", "", policy)) <= POLICY_MAX_CHARS, name
        sids = [statement["Sid"] for statement in statements(config, name)]
        assert len(set(sids)) == len(sids)
        assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)
        for statement in statements(config, name):
            whole = r"arn:aws:(s3:::[a-z0-9-]+|[a-z0-9-]+:[a-z0-9-]+:[0-9]{12}:.+|iam::.+)"
            places = [place for place in statement["Resource"] if place != "*"]
            assert all(re.match(whole, place) for place in places), statement
            assert places or "Condition" in statement, "a star needs a condition"


def test_a_process_gets_nothing_of_another() -> None:
    """A consumer reads its own region's topic and no positions; only the producer reads the stream."""
    config = load_config(FEED_YAML)
    for name in process_names(config):
        text = rights_of(config, name, FACTS).policy
        assert ("GetRecords" in text) == (name == "producer")
        if name.startswith("consumer-"):
            assert "positions" not in text
            region = config.consumers[name.removeprefix("consumer-")].region
            others = [arn for other, arn in CLUSTERS.items() if other != region]
            assert not any(arn.partition(":cluster")[0] in text for arn in others if "kafka" in arn)


def test_clusters_without_iam_get_acls() -> None:
    """With SCRAM the script names the user of feed.yaml; with TLS the principal is given."""
    text = FEED_YAML.read_text()
    for region, auth, whom in (
        ("eu-west-1", "{kind: scram, username: feed, password: p}", "User:feed"),
        ("eu-west-1", "{kind: tls}", "User:CN=producer"),
    ):
        raw = text.replace(f"{{kind: iam, aws_region: {region}}}", auth)
        found = rights_of(parse_config(raw, variables={}), "producer", Facts("111122223333", {}, "User:CN={process}"))
        assert f"--allow-principal {whom}" in found.acls
        assert "--transactional-id orders.slot- --resource-pattern-type prefixed" in found.acls
        assert "kafka-cluster" not in found.policy
        assert set(found.files()) == {"producer-iam-policy.json", "producer-acls.sh"}


def test_the_command_writes_a_file_for_each(tmp_path: Path) -> None:
    """One file a process; what is missing is a sentence."""
    words = ["rights", "-c", str(FEED_YAML), "--account", "111122223333"]
    given = [word for region, arn in CLUSTERS.items() for word in ("--cluster", f"{region}={arn}")]
    ended = CliRunner().invoke(app, [*words, *given, "--out", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    expected = {f"{name}-iam-policy.json" for name in process_names(load_config(FEED_YAML))}
    assert {file.name for file in tmp_path.iterdir()} == expected
    for bad, said in (
        (words, "its ARN is not known"),
        (words[:3], "is not named"),
        ([*words, *given, "nobody"], "no process 'nobody'"),
        ([*words, "--cluster", "mars=x"], "REGION=ARN"),
    ):
        ended = CliRunner().invoke(app, bad)
        assert isinstance(ended.exception, ConfigError)
        assert said in str(ended.exception)


def test_each_operation_is_an_action_of_msk() -> None:
    """The two forms are one: a grant of Kafka's operations tells MSK's actions."""
    grant = Grant("Any", "topic", ("orders",), ("Describe", "Read"))
    assert grant.iam == ("DescribeTopic", "ReadData")
