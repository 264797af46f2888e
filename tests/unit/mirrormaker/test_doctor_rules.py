"""Each trap has a bad example that its rule finds, and a good one that it leaves alone."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mirrormaker.doctor import ALL, KafkaVersion, Report, Severity, diagnose
from mirrormaker.doctor.reference import rules_table

GOOD_LINES = {
    "clusters": "eu, us",
    "eu.bootstrap.servers": "eu:9092",
    "us.bootstrap.servers": "us:9092",
    "eu->us.enabled": "true",
    "emit.heartbeats.enabled": "false",
    "topics": "orders",
    "tasks.max": "4",
    "replication.policy.class": "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
    "us.exactly.once.source.support": "enabled",
    "dedicated.mode.enable.internal.rest": "true",
    "listeners": "http://10.0.0.1:8083",
    "us.scheduled.rebalance.max.delay.ms": "0",
    "eu.consumer.isolation.level": "read_committed",
    "eu.consumer.receive.buffer.bytes": "-1",
    "eu.consumer.max.partition.fetch.bytes": "4194304",
    "us.producer.transaction.timeout.ms": "10000",
    "us.producer.max.request.size": "2162688",
    "us.producer.max.in.flight.requests.per.connection": "5",
    "us.producer.batch.size": "131072",
    "sync.topic.configs.enabled": "false",
    "sync.topic.acls.enabled": "false",
    "refresh.topics.interval.seconds": "30",
    "refresh.groups.interval.seconds": "30",
    "sync.group.offsets.enabled": "true",
    "offset.lag.max": "10",
    "offset-syncs.topic.location": "target",
    "replication.factor": "3",
    "offset-syncs.topic.replication.factor": "3",
    "checkpoints.topic.replication.factor": "3",
    "heartbeats.topic.replication.factor": "3",
}
GOOD_SOURCE = {
    "connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector",
    "source.cluster.alias": "eu",
    "target.cluster.alias": "us",
    "source.cluster.bootstrap.servers": "eu:9092",
    "target.cluster.bootstrap.servers": "us:9092",
    "topics": "orders",
    "tasks.max": "4",
    "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "header.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "exactly.once.support": "required",
    "source.consumer.isolation.level": "read_committed",
    "producer.override.max.in.flight.requests.per.connection": "5",
    "producer.override.transaction.timeout.ms": "10000",
    "offset-syncs.topic.location": "target",
    "sync.topic.configs.enabled": "false",
    "sync.topic.acls.enabled": "false",
    "refresh.topics.interval.seconds": "30",
    "replication.factor": "3",
    "offset-syncs.topic.replication.factor": "3",
    "offset.lag.max": "10",
}
GOOD_CHECKPOINT = {
    "connector.class": "org.apache.kafka.connect.mirror.MirrorCheckpointConnector",
    "source.cluster.alias": "eu",
    "target.cluster.alias": "us",
    "sync.group.offsets.enabled": "true",
    "refresh.groups.interval.seconds": "30",
    "offset-syncs.topic.location": "target",
    "checkpoints.topic.replication.factor": "3",
}
STRIMZI = """
apiVersion: kafka.strimzi.io/v1
kind: KafkaMirrorMaker2
metadata: {name: mirror}
spec:
  target:
    alias: us
    bootstrapServers: b-1.us.kafka.us-east-1.amazonaws.com:9098
    groupId: mirror
    configStorageTopic: c
    offsetStorageTopic: o
    statusStorageTopic: s
    authentication: {type: custom, sasl: true, config: {sasl.mechanism: AWS_MSK_IAM}}
    config:
      exactly.once.source.support: enabled
      scheduled.rebalance.max.delay.ms: 0
  mirrors:
    - source: {alias: eu, bootstrapServers: "eu:9092"}
      topicsPattern: orders
      sourceConnector:
        tasksMax: 4
        config:
          source.consumer.isolation.level: read_committed
"""
OLD_STRIMZI = """
apiVersion: kafka.strimzi.io/v1beta2
kind: KafkaMirrorMaker2
metadata: {name: mirror}
spec:
  connectCluster: us
  clusters:
    - {alias: eu, bootstrapServers: "eu:9092"}
    - {alias: us, bootstrapServers: "us:9092", config: {exactly.once.source.support: enabled}}
  mirrors:
    - {sourceCluster: eu, targetCluster: us, sourceConnector: {}}
"""
GOOD_ACTIONS = ["kafka-cluster:WriteData", "kafka-cluster:WriteDataIdempotently", "kafka-cluster:*TransactionalId"]


def mm2(*more: str, drop: tuple[str, ...] = (), **changes: str) -> dict[str, str]:
    """The good file without some keys, with some changed (``__`` for ``.``), and with more lines."""
    lines = {**GOOD_LINES, **{key.replace("__", "."): value for key, value in changes.items()}}
    text = "".join(f"{key} = {value}\n" for key, value in lines.items() if key not in drop)
    return {"mm2.properties": text + "".join(f"{line}\n" for line in more)}


def connectors(
    source: dict[str, str] | None = None, checkpoint: dict[str, str] | None = None, drop: tuple[str, ...] = ()
) -> dict[str, str]:
    first = {key: value for key, value in {**GOOD_SOURCE, **(source or {})}.items() if key not in drop}
    files = {"source.json": json.dumps({"name": "s", "config": first}, indent=1)}
    if checkpoint is not None:
        files["checkpoint.json"] = json.dumps({"name": "c", "config": {**GOOD_CHECKPOINT, **checkpoint}}, indent=1)
    return files


def strimzi(old: str = "", new: str = "", text: str = STRIMZI) -> dict[str, str]:
    assert old in text
    return {"mirror.yaml": text.replace(old, new) if old else text}


def policy(*actions: str) -> dict[str, str]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return {"policy.json": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}


@dataclass(frozen=True)
class Case:
    """A rule, what it must find, and what it must leave alone."""

    code: str
    bad: dict[str, str]
    good: dict[str, str] = field(default_factory=mm2)
    bad_options: dict[str, Any] = field(default_factory=dict)
    good_options: dict[str, Any] = field(default_factory=dict)


V37, V39 = KafkaVersion(3, 7), KafkaVersion(3, 9)
SYNCED = {"sync__topic__configs__enabled": "true"}
BOTH_WAYS = ("us->eu.enabled = true",)

CASES = [
    Case("MM01", mm2(clusters="eu, us # both of them"), mm2("# both of them")),
    Case("MM02", mm2("exactly.once.source.support = enabled")),
    Case("MM02", mm2("offset.flush.interval.ms = 1000"), mm2("us.offset.flush.interval.ms = 1000")),
    Case("MM02", mm2("consumer.isolation.level = read_committed"), mm2("eu->us.consumer.fetch.min.bytes = 1")),
    Case("MM02", mm2("eu.exactly.once.source.support = enabled")),
    Case("MM02", mm2("eu->us.offset.flush.interval.ms = 1000"), mm2("eu->us.transaction.boundary = poll")),
    Case("MM02", mm2("us.transaction.boundary = poll"), mm2("us.plugin.discovery = service_load")),
    Case("MM02", mm2("uk.producer.acks = all"), mm2("us.producer.acks = all")),
    Case("MM02", mm2("us.batch.size = 1000"), mm2("us.producer.linger.ms = 10")),
    Case("MM02", connectors({"offset.flush.interval.ms": "1000"}), connectors()),
    Case("MM02", connectors({"groups": "a"}), connectors(checkpoint={"groups": "a"})),
    Case(
        "MM03",
        mm2("offset.storage.replication.factor = 1", "us.offset.storage.replication.factor = 3"),
        mm2("us.offset.storage.replication.factor = 3"),
    ),
    Case("MM04", mm2(drop=("eu.consumer.isolation.level",))),
    Case("MM04", connectors(drop=("source.consumer.isolation.level",)), connectors()),
    Case("MM04", strimzi("source.consumer.isolation.level: read_committed", "tasks.max.enforce: true"), strimzi()),
    Case("MM05", mm2("eu->us.exactly.once.support = required"), mm2("eu->us.exactly.once.support = requested")),
    Case("MM06", mm2(drop=("dedicated.mode.enable.internal.rest",))),
    Case(
        "MM07",
        mm2("eu->us.transaction.boundary = interval"),
        mm2("eu->us.transaction.boundary = interval", "eu->us.transaction.boundary.interval.ms = 100"),
    ),
    Case("MM08", mm2(drop=("us.scheduled.rebalance.max.delay.ms",))),
    Case("MM08", strimzi("scheduled.rebalance.max.delay.ms: 0", "session.timeout.ms: 10000"), strimzi()),
    Case("MM09", mm2(drop=("us.exactly.once.source.support",))),
    Case("MM09", connectors(drop=("exactly.once.support",)), connectors()),
    Case("MM10", mm2(drop=("emit.heartbeats.enabled",)), mm2("us->eu.emit.heartbeats.enabled = false")),
    Case("MM11", mm2(*BOTH_WAYS), mm2(*BOTH_WAYS, "us->eu.topics = returns", "eu->us.topics = orders")),
    Case(
        "MM11",
        mm2(*BOTH_WAYS, r"us->eu.topics = orders\\.back", r"eu->us.topics = orders\\..*"),
        mm2(*BOTH_WAYS, r"us->eu.topics = returns\\..*", r"eu->us.topics = orders\\..*"),
    ),
    Case("MM11", mm2(*BOTH_WAYS), mm2(*BOTH_WAYS, drop=("replication.policy.class",))),
    Case("MM12", mm2(drop=("checkpoints.topic.replication.factor",))),
    Case("MM13", mm2(**SYNCED), mm2(**SYNCED, config__properties__exclude=r"retention\..*, min.insync.replicas")),
    Case("MM14", mm2(**SYNCED, config__properties__exclude="retention.ms"), mm2(**SYNCED)),
    Case("MM15", mm2(drop=("sync.topic.acls.enabled",))),
    Case("MM16", mm2(drop=("tasks.max",))),
    Case("MM17", mm2(drop=("refresh.topics.interval.seconds",))),
    Case("MM17", mm2(refresh__groups__interval__seconds="600")),
    Case("MM18", mm2(drop=("offset.lag.max",)), mm2(offset__lag__max="0")),
    Case("MM19", mm2(drop=("sync.group.offsets.enabled",)), mm2(sync__group__offsets__enabled="false")),
    Case("MM20", connectors(drop=("header.converter",)), connectors()),
    Case("MM20", connectors({"value.converter": "org.apache.kafka.connect.json.JsonConverter"}), connectors()),
    Case("MM21", connectors({"producer.batch.size": "100000"}), connectors({"producer.override.batch.size": "100000"})),
    Case("MM21", connectors({"target.cluster.producer.batch.size": "1"}), connectors()),
    Case(
        "MM21",
        connectors({"source.cluster.max.poll.records": "1"}),
        connectors({"source.consumer.max.poll.records": "1"}),
    ),
    Case("MM21", mm2("eu->us.producer.batch.size = 100000")),
    Case("MM22", mm2(drop=("us.producer.max.in.flight.requests.per.connection",))),
    Case("MM22", mm2(drop=("us.producer.batch.size",))),
    Case("MM23", mm2(drop=("eu.consumer.receive.buffer.bytes",))),
    Case("MM24", mm2(), mm2(), {"runs_beside": "eu"}, {"runs_beside": "us"}),
    Case("MM24", connectors({"producer.override.bootstrap.servers": "us:9092"}), connectors()),
    Case("MM25", mm2(), mm2("eu.consumer.auto.offset.reset = none")),
    Case("MM26", mm2("eu.security.protocol = SASL_SSL")),
    Case("MM27", connectors(checkpoint={"offset-syncs.topic.location": "source"}), connectors(checkpoint={})),
    Case("MM28", mm2(), mm2(), {"version": KafkaVersion(3, 6)}),
    Case("MM28", connectors(checkpoint={}), connectors(checkpoint={}), {"version": V37, "managed": "msk-connect"}),
    Case("MM29", mm2(topics=".*"), mm2(topics=".*", topics__exclude=r".*\.internal")),
    Case("MM29", mm2(topics=".*"), mm2(topics=".*"), {}, {"version": V39}),
    Case("MM29", mm2(topics=r"shop\\.or.*"), mm2(topics=r"shop\\.orders, shop\\.x\\.internal")),
    Case("MM30", mm2("topics.blacklist = x"), mm2("topics.exclude = x")),
    Case("MM30", mm2("use.incremental.alter.configs = required"), mm2("topics.blacklist = x"), {}, {"version": V39}),
    Case("MM31", mm2(**SYNCED), mm2(**SYNCED, config__properties__exclude=r"message\.timestamp\..*")),
    Case("MM32", mm2(topics="orders-[0-9]{1,3}"), mm2(topics="orders-[0-9]+, returns-[ab]")),
    Case(
        "MM33",
        mm2(drop=("us.exactly.once.source.support", "dedicated.mode.enable.internal.rest")),
        mm2(drop=("us.exactly.once.source.support", "dedicated.mode.enable.internal.rest")),
        {"version": V39},
    ),
    Case("MM34", strimzi(text=OLD_STRIMZI), strimzi()),
    Case("MM34", strimzi("topicsPattern: orders", "topicsPattern: orders\n      heartbeatConnector: {}"), strimzi()),
    Case("MM35", strimzi("type: custom, sasl: true, config: {sasl.mechanism: AWS_MSK_IAM}", "type: tls"), strimzi()),
    Case("MM36", policy("kafka-cluster:WriteData", "kafka-cluster:ReadData"), policy(*GOOD_ACTIONS)),
    Case("MM37", mm2(*BOTH_WAYS)),
    Case("MM38", mm2("us.ssl.truststore.password = hunter2"), mm2("us.ssl.truststore.password = ${env:SECRET}")),
    Case(
        "MM38",
        mm2('us.sasl.jaas.config = x.ScramLoginModule required username="u" password="hunter2";'),
        mm2('us.sasl.jaas.config = x.ScramLoginModule required username="u" password="${env:P}";'),
    ),
    Case("MM39", mm2(drop=("us.producer.transaction.timeout.ms",))),
    Case("MM40", mm2(drop=("us.producer.max.request.size",))),
    Case("MM41", mm2(**SYNCED)),
    Case("MM42", mm2("refresh.topic.interval.seconds = 5")),
    Case("MM42", mm2("us.producer.compresion.type = lz4"), mm2("us.producer.compression.type = lz4")),
    Case("MM43", mm2(drop=("us.exactly.once.source.support",)), mm2("us.producer.enable.idempotence = true")),
    Case("MM44", strimzi("topicsPattern", "topicPattern"), strimzi()),
    Case("MM45", strimzi("scheduled.rebalance.max.delay.ms: 0", "group.id: mine"), strimzi()),
    Case("MM46", strimzi("connectCluster: us", "connectCluster: eu", OLD_STRIMZI), strimzi(text=OLD_STRIMZI)),
    Case("MM47", mm2("tasks.max = 8")),
    Case("MM49", mm2(topics=r"orders-\d+"), mm2(topics=r"orders-\\d+, returns-[0-9]+")),
    Case("MM50", {"mm2.properties": "\ufeff" + mm2()["mm2.properties"]}, mm2(topics=r"\u00fcber")),
    Case("MM50", mm2(topics="über"), mm2("# ein Kommentar über Topics")),
    Case("MM45", strimzi("tasksMax: 4", "tasksMax: 4\n        config: {tasks.max: 4}"), strimzi()),
    Case("MM45", strimzi("exactly.once", "consumer.interceptor.classes: a.B\n      exactly.once"), strimzi()),
    Case("MM48", mm2(drop=("eu->us.enabled",))),
    Case("MM48", mm2(drop=("us.bootstrap.servers",))),
]


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_the_bad_example_is_found(case: Case) -> None:
    """The rule finds its bad example, and every finding names a line, an effect and a source."""
    report = diagnose(case.bad, **case.bad_options)
    assert case.code in codes(report)
    for finding in report.findings:
        assert finding.line >= 1
        assert finding.effect
        assert finding.source
        assert not re.search(r"\{[a-z]+\}", finding.effect)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_the_good_example_is_left_alone(case: Case) -> None:
    """The rule says nothing about its good example."""
    assert case.code not in codes(diagnose(case.good, **case.good_options))


def test_every_rule_has_examples() -> None:
    """No rule stands without a bad and a good example, and the 41 traps each have a rule."""
    assert {case.code for case in CASES} == {rule.code for rule in ALL}
    assert {f"MM{number:02}" for number in range(1, 42)} <= {rule.code for rule in ALL}


def test_codes_are_unique() -> None:
    """A code names one rule, for ever."""
    assert len({rule.code for rule in ALL}) == len(ALL)


def test_the_good_file_has_nothing_but_advice() -> None:
    """The examples' common ground is itself without fault."""
    for files in (mm2(), connectors(checkpoint={})):
        assert {finding.severity for finding in diagnose(files).findings} <= {Severity.ADVICE}


def test_the_page_lists_the_rules() -> None:
    """docs/mirrormaker.md has the table that `feed mirror rules --markdown` prints."""
    page = Path("docs/mirrormaker.md").read_text(encoding="utf-8")
    block = page.split("<!-- rules: begin -->\n")[1].split("<!-- rules: end -->")[0]
    assert block == rules_table()


def test_each_rule_has_its_proof_or_a_reason_why_not() -> None:
    """A row for each rule; the test that it names is there, and speaks of the rule."""
    page = Path("docs/mirrormaker.md").read_text(encoding="utf-8")
    block = page.split("<!-- proofs: begin -->\n")[1].split("<!-- proofs: end -->")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()[2:]]
    assert [row[0] for row in rows] == sorted(rule.code for rule in ALL)
    for code, by, test, note in rows:
        assert by in {"run", "classes", "measured", "source", "none"}
        if not test:
            assert note, code
            continue
        file, _, function = test.strip("`").partition(":")
        text = Path("tests/integration/mirrormaker", file).read_text(encoding="utf-8")
        body = text.partition(f"def {function}(")[2].partition("\n\n\n")[0]
        spoken = body.partition('"""')[2].partition('"""')[0]
        assert code in spoken or f'"{code}": {{' in text, (code, test)
