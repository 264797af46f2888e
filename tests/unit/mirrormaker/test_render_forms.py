"""The rendered files of every form."""

import itertools
import json
import subprocess
from typing import Any

import botocore.session
import botocore.validate
import pytest
import yaml

from mirrormaker import (
    Cluster,
    Delivery,
    Deployment,
    Flow,
    Form,
    IamAuth,
    ScramAuth,
    StrimziDeployment,
    TlsAuth,
    render,
    render_dedicated,
)
from mirrormaker.render import TASK_STATE
from schemas.errors import ConfigError

ARN = "arn:aws:kafka:{}:123456789012:cluster/feed/11111111-2222-3333-4444-555555555555-1"


def cluster(name: str, region: str, **changes: Any) -> Cluster:
    facts: dict[str, Any] = {
        "bootstrap_servers": f"b-1.{name}:9098,b-2.{name}:9098",
        "auth": IamAuth(),
        "arn": ARN.format(region),
        "region": region,
        "subnet_ids": ("subnet-1", "subnet-2"),
        "security_group_ids": ("sg-1",),
    }
    return Cluster(name, **{**facts, **changes})


FLOW = Flow(cluster("eu", "eu-west-1"), cluster("us", "us-east-1"), ("orders",))
PLACE = Deployment(
    service_execution_role_arn="arn:aws:iam::123456789012:role/mirror",
    plugin_arn="arn:aws:kafkaconnect:us-east-1:123456789012:custom-plugin/mm2/1",
    strimzi=StrimziDeployment(image="registry.example/strimzi-iam:1"),
)


def files(form: Form, flow: Flow = FLOW) -> dict[str, str]:
    return render(form, flow, PLACE, accepted=Delivery.AT_LEAST_ONCE).files


@pytest.mark.parametrize("form", list(Form))
def test_the_same_flow_gives_the_same_bytes(form: Form) -> None:
    """Rendering is deterministic, so a diff of two renderings shows only what was meant."""
    assert files(form) == files(form)
    assert all(text.endswith("\n") for text in files(form).values())


@pytest.mark.parametrize("form", [Form.MSK_CONNECT, Form.MSK_REPLICATOR])
def test_a_form_that_can_repeat_must_be_asked_for(form: Form) -> None:
    """What cannot promise once is refused unless at least once is accepted."""
    with pytest.raises(ConfigError, match="repeat"):
        render(form, FLOW, PLACE)
    assert render(form, FLOW, PLACE, accepted=Delivery.AT_LEAST_ONCE).guarantee.delivery is Delivery.AT_LEAST_ONCE


@pytest.mark.parametrize("form", [form for form in Form if form is not Form.MSK_CONNECT])
def test_no_file_has_a_secret(form: Form) -> None:
    """The password stands nowhere; its config-provider expression (or Kubernetes secret) does."""
    scram = ScramAuth("mirror", "${env:EU_PASSWORD}")
    flow = Flow(cluster("eu", "eu-west-1", auth=scram), FLOW.target, ("orders",))
    text = "".join(files(form, flow).values())
    if form is Form.STRIMZI:
        assert '"scram-sha-512"' in text
        assert 'secretName: "eu-mirror"' in text
    elif form is not Form.MSK_REPLICATOR:
        assert "${env:EU_PASSWORD}" in text


def test_every_line_of_a_dedicated_file_has_a_reason_above_it() -> None:
    """Each key stands below a comment; no comment stands behind a value."""
    lines = render_dedicated(FLOW).splitlines()
    for above, line in itertools.pairwise(lines):
        if line and not line.startswith("#"):
            assert above.startswith("# ")
            assert " #" not in line


def test_dedicated_promises_are_on_the_level_that_kafka_reads() -> None:
    """Worker keys carry the target's prefix, since MirrorMaker ignores them at top level."""
    text = render_dedicated(FLOW)
    for line in (
        "us.exactly.once.source.support = enabled",
        "us.scheduled.rebalance.max.delay.ms = 0",
        "eu.consumer.isolation.level = read_committed",
        "us.producer.transaction.timeout.ms = 10000",
        "dedicated.mode.enable.internal.rest = true",
        "topics = orders, orders\\\\.control",
        "emit.heartbeats.enabled = false",
        "sync.topic.configs.enabled = false",
        "sync.topic.acls.enabled = false",
    ):
        assert line in text.splitlines()
    assert "exactly.once.support =" not in text


def test_two_images_of_400_kb_fit() -> None:
    """The producer takes a request as large as the largest change."""
    line = next(line for line in render_dedicated(FLOW).splitlines() if ".max.request.size" in line)
    assert int(line.split(" = ")[1]) > 2 * 400 * 1024 * 1.9


def test_connect_source_connector_refuses_a_wrong_worker() -> None:
    """On Connect the source connector requires exactly once, reads committed and keeps header bytes."""
    config = json.loads(files(Form.CONNECT)["eu-us-source.json"])["config"]
    assert config["exactly.once.support"] == "required"
    assert config["source.consumer.isolation.level"] == "read_committed"
    assert config["producer.override.max.request.size"] == str(4 * 1024 * 1024 + 65_536)
    assert config["header.converter"].endswith("ByteArrayConverter")
    checkpoint = json.loads(files(Form.CONNECT)["eu-us-checkpoint.json"])["config"]
    assert "exactly.once.support" not in checkpoint
    assert checkpoint["offset-syncs.topic.location"] == config["offset-syncs.topic.location"] == "target"


def test_every_key_of_a_json_document_is_explained() -> None:
    """JSON has no comments, so the page beside it names each key."""
    rendered = files(Form.CONNECT)
    for role in ("source", "checkpoint"):
        for key in json.loads(rendered[f"eu-us-{role}.json"])["config"]:
            assert f"* `{key}` = " in rendered["eu-us-reasons.md"]


@pytest.mark.parametrize(
    "form,name,service,operation",
    [
        (Form.MSK_REPLICATOR, "eu-us-create-replicator.json", "kafka", "CreateReplicator"),
        (Form.MSK_CONNECT, "eu-us-create-source-connector.json", "kafkaconnect", "CreateConnector"),
        (Form.MSK_CONNECT, "eu-us-create-checkpoint-connector.json", "kafkaconnect", "CreateConnector"),
        (Form.MSK_CONNECT, "eu-us-create-worker-configuration.json", "kafkaconnect", "CreateWorkerConfiguration"),
    ],
)
def test_aws_requests_pass_botocores_model(form: Form, name: str, service: str, operation: str) -> None:
    """Each request has the members and types that AWS's own model demands, and no other."""
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    request = json.loads(files(form)[name])
    report = botocore.validate.ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    assert set(request) <= set(shape.members)


def test_msk_connect_worker_sets_only_admitted_keys() -> None:
    """No key of the worker is on AWS's list of refused ones, and client settings are none of its business."""
    worker = files(Form.MSK_CONNECT)["eu-us-worker.properties"]
    keys = {line.split(" = ")[0] for line in worker.splitlines() if line and not line.startswith("#")}
    assert keys == {"key.converter", "value.converter", "header.converter", "exactly.once.source.support"}


def test_strimzi_resource_is_v1_and_sets_no_field_twice() -> None:
    """The resource has v1's shape; what has a field of its own is not repeated in a connector's config."""
    resource = yaml.safe_load(files(Form.STRIMZI)["eu-us-kafkamirrormaker2.yaml"])
    assert resource["apiVersion"] == "kafka.strimzi.io/v1"
    mirror = resource["spec"]["mirrors"][0]
    assert mirror["topicsPattern"] == r"orders|orders\.control"
    config = mirror["sourceConnector"]["config"]
    assert config["source.consumer.isolation.level"] == "read_committed"
    assert not any(key.startswith(("source.cluster.", "target.cluster.", "topics", "groups")) for key in config)
    assert resource["spec"]["target"]["config"]["exactly.once.source.support"] == "enabled"
    assert resource["spec"]["target"]["authentication"]["type"] == "custom"
    assert resource["spec"]["target"]["tls"] == {"trustedCertificates": []}


def test_strimzi_iam_needs_an_image() -> None:
    """Strimzi's own image has no IAM login, so the form is refused without one that has."""
    with pytest.raises(ConfigError, match="aws-msk-iam-auth"):
        render(Form.STRIMZI, FLOW)


def test_policy_allows_transactions_and_nothing_of_other_topics() -> None:
    """Exactly once needs idempotent writes and transactional ids; positions and dead letters are not readable."""
    policy = json.loads(files(Form.DEDICATED)["eu-us-iam-policy.json"])
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    resources = {resource for statement in policy["Statement"] for resource in statement["Resource"]}
    assert {"kafka-cluster:WriteDataIdempotently", "kafka-cluster:AlterTransactionalId"} <= actions
    base = ARN.format("us-east-1").replace(":cluster/", ":transactional-id/")
    assert {f"{base}/eu-mm2-*", f"{base}/connect-cluster-eu-mm2*"} <= resources
    assert not any("positions" in resource or "dead-letter" in resource for resource in resources)
    assert not any(resource.endswith("/*") for resource in resources)


def test_source_is_only_read() -> None:
    """No statement about the source cluster writes."""
    policy = json.loads(files(Form.DEDICATED)["eu-us-iam-policy.json"])
    of_source = [statement for statement in policy["Statement"] if statement["Sid"].startswith("Source")]
    assert of_source
    assert not any("Write" in action or "Alter" in action for item in of_source for action in item["Action"])


def test_acls_are_written_for_other_logins() -> None:
    """With TLS or SCRAM the same needs are kafka-acls commands."""
    flow = Flow(
        cluster("eu", "eu-west-1", auth=TlsAuth("/etc/kafka/ca.pem", "/etc/kafka/me.pem", "/etc/kafka/me.key")),
        cluster("us", "us-east-1", auth=ScramAuth("mirror", "${env:P}")),
        ("orders",),
    )
    text = files(Form.DEDICATED, flow)["eu-us-acls.sh"]
    assert "--transactional-id eu-mm2- --resource-pattern-type prefixed" in text
    assert "IdempotentWrite" in text
    properties = files(Form.DEDICATED, flow)["eu-us-mm2.properties"]
    assert "eu.ssl.keystore.key = ${directory:/etc/kafka:me.key}" in properties
    assert "config.providers = directory, env" in properties
    assert "iam" not in text


def test_missing_network_is_a_fault_for_each() -> None:
    """MSK Replicator without subnets or ARN names every missing thing."""
    bare = Flow(cluster("eu", "eu-west-1", arn="", subnet_ids=()), FLOW.target, ("orders",))
    with pytest.raises(ConfigError) as caught:
        files(Form.MSK_REPLICATOR, bare)
    assert caught.value.faults == ("Cluster eu has no ARN.", "Cluster eu has no subnets.")


@pytest.mark.parametrize("auth", [ScramAuth("mirror", "${env:P}"), TlsAuth("/ca.pem")])
def test_msk_connect_has_no_variables_and_files(auth: ScramAuth | TlsAuth) -> None:
    """A login at the source that reads one would be the text of its own expression: the form is refused."""
    flow = Flow(cluster("eu", "eu-west-1", auth=auth), FLOW.target, ("orders",))
    with pytest.raises(ConfigError, match="cannot log in to cluster eu"):
        files(Form.MSK_CONNECT, flow)
    assert files(Form.MSK_CONNECT, Flow(cluster("eu", "eu-west-1", auth=TlsAuth()), FLOW.target, ("orders",)))


@pytest.mark.parametrize(
    "form, service",
    [(Form.MSK_CONNECT, "kafkaconnect.amazonaws.com"), (Form.MSK_REPLICATOR, "kafka.amazonaws.com")],
)
def test_the_service_may_take_the_role_for_this_account_only(form: Form, service: str) -> None:
    """The role's trust policy names AWS's service and the account of the role."""
    (statement,) = json.loads(files(form)["eu-us-trust-policy.json"])["Statement"]
    assert statement["Principal"] == {"Service": service}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_msk_replicator_writes_once_at_both() -> None:
    """AWS asks for idempotent writes at the source, too: it keeps topics of its own there."""
    policy = json.loads(files(Form.MSK_REPLICATOR)["eu-us-iam-policy.json"])
    resources = {
        resource
        for statement in policy["Statement"]
        if "kafka-cluster:WriteDataIdempotently" in statement["Action"]
        for resource in statement["Resource"]
    }
    assert resources == {ARN.format("eu-west-1"), ARN.format("us-east-1")}


def test_msk_connects_own_names_are_allowed() -> None:
    """MSK Connect names groups, topics and transactional ids itself: the policy allows its prefixes."""
    policy = json.loads(files(Form.MSK_CONNECT)["eu-us-iam-policy.json"])
    resources = {resource for statement in policy["Statement"] for resource in statement["Resource"]}
    base = ARN.format("us-east-1")
    for kind in ("group", "transactional-id", "topic"):
        assert f"{base.replace(':cluster/', f':{kind}/')}/__amazon_msk_connect_*" in resources


@pytest.mark.parametrize("form", [Form.DEDICATED, Form.CONNECT])
def test_how_it_is_run_is_rendered_too(form: Form) -> None:
    """A script that bash can read, a unit that starts it again for ever, and the agent's rules."""
    rendered = files(form)
    script = rendered["eu-us-run.sh"]
    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=True).stderr == ""
    started = {
        Form.DEDICATED: '"$here/eu-us-mm2.properties" --clusters us',
        Form.CONNECT: '"$here/eu-us-worker.properties"',
    }
    assert started[form] in script
    assert "%(" not in script
    unit = rendered["eu-us-mirror.service"]
    assert "Restart=always" in unit
    assert "BASE" not in unit
    rules = yaml.safe_load(rendered["eu-us-jmx.yaml"])
    assert {rule["name"] for rule in rules["rules"]} > {"kafka_connect_mirror_$5s_total", TASK_STATE}
    assert all("*" in name for name in rules["includeObjectNames"])


def test_strimzis_operator_starts_failed_tasks_again() -> None:
    """Both connectors have the operator's own restart."""
    mirror = yaml.safe_load(files(Form.STRIMZI)["eu-us-kafkamirrormaker2.yaml"])["spec"]["mirrors"][0]
    assert [mirror[f"{role}Connector"]["autoRestart"] for role in ("source", "checkpoint")] == [{"enabled": True}] * 2
