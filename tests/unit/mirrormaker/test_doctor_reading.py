"""Files of every kind, read with their lines; and what the doctor says of files that people really have."""

import contextlib
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrormaker import Cluster, Delivery, Deployment, Flow, Form, IamAuth, StrimziDeployment, render
from mirrormaker.doctor import Severity, diagnose, explain
from mirrormaker.doctor.document import Kind
from mirrormaker.doctor.known import LATEST, KafkaVersion, known_keys
from mirrormaker.doctor.reading import read_documents
from mirrormaker.doctor.resolution import herders
from mirrormaker.entries import escape_key, escape_value
from schemas.errors import ConfigError

FLOW = Flow(Cluster("eu", "eu:9092"), Cluster("us", "us:9092"), ("orders",))


def test_lines_are_counted_through_comments_and_continuations() -> None:
    """A key is reported at the line where it begins, whatever stands before it."""
    text = "# one\n\nclusters = eu, \\\n    us\n! five\neu.bootstrap.servers: eu:9092\n"
    document = read_documents(text, "x.properties")[0]
    assert [(value.key, value.text, value.line) for value in document.values] == [
        ("clusters", "eu, us", 3),
        ("eu.bootstrap.servers", "eu:9092", 6),
    ]


@given(
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=30),
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=60),
)
def test_what_we_write_is_what_java_reads(key: str, value: str) -> None:
    """Keys and values of any characters survive writing and reading, by a library that follows java.util.Properties."""
    text = f"clusters = a\n{escape_key(key)} = {escape_value(value)}\n"
    settings = read_documents(text, "x.properties")[0].settings
    assert settings[key].text == value


@given(st.text(string.printable, max_size=400))
def test_no_text_makes_the_doctor_fall(text: str) -> None:
    """Whatever the file holds, the answer is a report or one clear refusal."""
    for name in ("x.properties", "x.json", "x.yaml"):
        with contextlib.suppress(ConfigError):
            diagnose({name: text})


@pytest.mark.parametrize(
    "text,kind",
    [
        ("clusters = a, b\n", Kind.DEDICATED),
        ("group.id = x\nbootstrap.servers = y\n", Kind.WORKER),
        ("connector.class = org.apache.kafka.connect.mirror.MirrorSourceConnector\n", Kind.CONNECTOR),
        ('{"config": {"connector.class": "a.MirrorSourceConnector"}}', Kind.CONNECTOR),
        ('{\n\t"connectorConfiguration": {"connector.class": "a.MirrorHeartbeatConnector"}}', Kind.CONNECTOR),
        ("kind: KafkaConnector\nspec: {class: a.MirrorCheckpointConnector, config: {}}\n", Kind.CONNECTOR),
        ("a: 1\n---\nkind: KafkaMirrorMaker2\napiVersion: kafka.strimzi.io/v1\n", Kind.STRIMZI),
        ('{"Version": "2012-10-17", "Statement": []}', Kind.POLICY),
    ],
)
def test_each_kind_is_recognised(text: str, kind: Kind) -> None:
    """A file is known by what it holds, not by its name."""
    name = "file.yaml" if ":" in text and "{" not in text[:1] and " = " not in text else "file"
    assert read_documents(text, name)[0].kind is kind


@pytest.mark.parametrize("text", ["", "hello", "[1, 2]", "{", "a: [", "x = \\u12", "{}", "x" * 1_100_000])
def test_what_is_nothing_is_refused_in_a_sentence(text: str) -> None:
    """No traceback: a fault with a hint."""
    with pytest.raises(ConfigError) as caught:
        read_documents(text, "file.json" if text.startswith(("[", "{")) else "file")
    assert caught.value.hint


def test_the_top_level_line_wins_as_in_kafka() -> None:
    """Resolution follows workerConfig: of offset.storage keys the general one reaches the worker."""
    text = "clusters = a, b\na->b.enabled = true\nb.offset.storage.partitions = 9\noffset.storage.partitions = 1\n"
    herder = herders(read_documents(text, "x")[0], known_keys())[0]
    assert herder.worker is not None
    assert herder.worker["offset.storage.partitions"].text == "1"
    assert herder.worker["group.id"].text == "a-mm2"


def test_herders_start_for_every_pair_with_heartbeats() -> None:
    """Three clusters and one flow are six herders, unless heartbeats are off."""
    text = "clusters = a, b, c\na->b.enabled = true\n"
    assert len(explain({"x": text})) == 6
    assert [start.flow for start in explain({"x": f"{text}emit.heartbeats.enabled = false\n"})] == ["a->b"]


def test_connection_keys_reach_every_client_of_a_cluster() -> None:
    """A cluster's security.protocol is its consumer's and producer's; its own client keys win."""
    text = (
        "clusters = a, b\na->b.enabled = true\nsecurity.protocol = SSL\na.security.protocol = SASL_SSL\n"
        "a.consumer.security.protocol = PLAINTEXT\n"
    )
    start = next(start for start in explain({"x": text}) if start.flow == "a->b")
    assert start.consumer["security.protocol"].value == "PLAINTEXT"
    assert start.producer["security.protocol"].value == "SSL"
    assert start.consumer["security.protocol"].origin == "x:5"


def test_secrets_are_not_explained() -> None:
    """What would start is shown without passwords."""
    text = 'clusters = a, b\na->b.enabled = true\na.sasl.jaas.config = X required password="hunter2";\n'
    assert "hunter2" not in repr(explain({"x": text}))


@pytest.mark.parametrize("form", [form for form in Form if form is not Form.MSK_REPLICATOR])
def test_our_own_files_are_healthy(form: Form) -> None:
    """What we render has nothing that the doctor would report, in every form, taken together."""
    arn = "arn:aws:kafka:r:1:cluster/feed/1"
    clusters = [
        Cluster(name, f"{name}:9098", IamAuth(), arn=arn, subnet_ids=("s",), security_group_ids=("g",))
        for name in ("eu", "us")
    ]
    flow = Flow(clusters[0], clusters[1], ("orders",))
    place = Deployment(
        service_execution_role_arn="arn:role", plugin_arn="arn:plugin", strimzi=StrimziDeployment(image="x/y:1")
    )
    files = render(form, flow, place, accepted=Delivery.AT_LEAST_ONCE).files
    skipped = ("-reasons.md", ".sh", ".service", "-jmx.yaml", "-create-worker-configuration.json")
    report = diagnose({name: text for name, text in files.items() if not name.endswith(skipped)})
    worse = [finding for finding in report.findings if finding.severity is not Severity.ADVICE]
    if form is Form.MSK_CONNECT:  # the service does not admit the key, and runs a version with the fault
        worse = [finding for finding in worse if finding.code not in {"MM08", "MM28"}]
    assert worse == []


def test_a_version_is_read_with_or_without_its_patch() -> None:
    """4.3, 4.3.1 and 3.7.x are versions; others are refused with a hint."""
    assert KafkaVersion.parse("4.3.1") == LATEST == KafkaVersion.parse("4.3")
    assert KafkaVersion.parse("3.7.x") == KafkaVersion(3, 7)
    with pytest.raises(ConfigError):
        KafkaVersion.parse("latest")


def test_known_keys_follow_the_version() -> None:
    """A key that left is known before and not after; one that came, the other way round."""
    assert "topics.blacklist" in known_keys(KafkaVersion(3, 9)).of("source")
    assert "topics.blacklist" not in known_keys().of("source")
    assert "heartbeats.replication.enabled" in known_keys().of("source")
    assert "heartbeats.replication.enabled" not in known_keys(KafkaVersion(3, 7)).of("source")


def test_a_fix_can_be_pasted() -> None:
    """What the doctor says to write in properties is read by Java as it was meant, and then has no such fault."""
    text = render(Form.DEDICATED, FLOW).files["eu-us-mm2.properties"].replace("topics = orders", "topics = orders.*")
    finding = next(one for one in diagnose({"x": text}).findings if one.code == "MM29")
    line = finding.fix.split("`")[1]
    assert {one.code for one in diagnose({"x": f"{text}{line}\n"}).findings}.isdisjoint({"MM29", "MM49"})


def test_the_version_is_what_the_file_names() -> None:
    """MSK Connect's request says its version and its service: 3.7 there translates offsets wrongly (MM28)."""
    config = {
        "connector.class": "x.MirrorCheckpointConnector",
        "source.cluster.alias": "a",
        "target.cluster.alias": "b",
    }
    request = {"kafkaConnectVersion": "3.7.x", "connectorConfiguration": config}
    codes = {one.code for one in diagnose({"x.json": json.dumps(request)}).findings}
    assert "MM28" in codes
    codes = {one.code for one in diagnose({"x.json": json.dumps(request)}, version=LATEST).findings}
    assert "MM28" not in codes
