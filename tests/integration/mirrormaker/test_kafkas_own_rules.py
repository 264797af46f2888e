"""The doctor's picture of MirrorMaker is compared with MirrorMaker itself."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from feed.local import LocalSettings
from feed.local.jars import kafka_jars
from mirrormaker.doctor.herder import Part
from mirrormaker.doctor.known import PARTS, KafkaVersion, known_keys
from mirrormaker.doctor.reading import read_documents
from mirrormaker.doctor.resolution import herders
from mirrormaker.entries import escape_key, escape_value
from tests.integration.mirrormaker.mirror_bench import GroovyRunner

pytestmark = pytest.mark.integration

KEYS = (
    "tasks.max",
    "topics",
    "replication.factor",
    "security.protocol",
    "producer.acks",
    "consumer.isolation.level",
    "producer.security.protocol",
    "exactly.once.source.support",
    "offset.storage.partitions",
    "config.storage.replication.factor",
    "status.storage.topic",
    "key.converter",
    "task.shutdown.graceful.timeout.ms",
    "worker.sync.timeout.ms",
    "replication.policy.class",
    "replication.policy.separator",
    "emit.heartbeats.enabled",
    "enabled",
    "batch.size",
    "group.id",
    "ssl.protocol",
    "sasl.mechanism",
    "admin.retries",
    "no.such.key",
)
VALUES = {
    "security.protocol": ("SSL", "PLAINTEXT"),
    "producer.security.protocol": ("SSL", "PLAINTEXT"),
    "replication.policy.class": ("org.apache.kafka.connect.mirror.IdentityReplicationPolicy",),
    "enabled": ("true", "false", "TRUE", " true"),
    "emit.heartbeats.enabled": ("true", "false"),
}
PREFIXES = ("", "a.", "b.", "ab.", "a->b.", "b->a.", "a->ab.", "ab->b.")
FILLED_IN = {"client.id", "key.converter", "value.converter", "header.converter"}
ADDED = {"name", "connector.class", "source.cluster.alias", "target.cluster.alias", "enabled"}


def random_file(seed: int) -> str:
    """A file with random keys on random levels; some keys twice."""
    chance = random.Random(seed)
    lines = ["clusters = a, b, ab", "plugin.discovery = service_load"]  # a scan of every jar takes seconds
    for _ in range(chance.randint(1, 25)):
        key = chance.choice(PREFIXES) + (bare := chance.choice(KEYS))
        value = chance.choice(VALUES.get(bare, ("1", "x y", "ü", "a,b # c", "\\d+", " lead", "tail ")))
        lines.append(f"{escape_key(key)}{chance.choice((' = ', '=', ': ', ' '))}{escape_value(value)}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("version", ["3.9.1", "4.3.1"])
def test_resolution_is_kafkas_own(groovy: GroovyRunner, tmp_path: Path, version: str) -> None:
    """MM02, MM03, MM47: for 150 random files, herders and each key of workers and connectors are what Kafka makes."""
    texts = {tmp_path / f"{seed}.properties": random_file(seed) for seed in range(150)}
    for file, text in texts.items():
        file.write_text(text)
    jars = kafka_jars(LocalSettings(kafka_version=version))
    lines = groovy("resolution", str(tmp_path), jars=jars).splitlines()
    kafkas: dict[tuple[str, str, str], dict[str, str]] = {}
    for line in lines:
        if line.count("\t") == 4:
            file_name, kind, flow, key, value = line.split("\t")
            kafkas.setdefault((file_name, kind, flow), {})[key] = value
    known = known_keys(KafkaVersion.parse(version))
    for file, text in texts.items():
        document = read_documents(text, str(file))[0]
        assert {key: value.text for key, value in document.settings.items()} == kafkas[(str(file), "property", "")]
        ours = {herder.name: herder for herder in herders(document, known)}
        assert set(ours) == {flow for name, kind, flow in kafkas if (name, kind) == (str(file), "herder")}
        for flow, herder in ours.items():
            worker = {key: value.text for key, value in (herder.worker or {}).items()}
            theirs = kafkas[(str(file), "worker", flow)]
            assert {**theirs, **worker} == theirs
            assert set(theirs) - set(worker) <= FILLED_IN
            connector = {key: value.text for key, value in herder.connectors[Part.SOURCE].items()}
            theirs = kafkas[(str(file), "connector", flow)]
            assert {**theirs, **connector} == theirs
            assert set(theirs) - set(connector) <= ADDED


@pytest.mark.parametrize("version", ["3.9.1", "4.3.1"])
def test_known_keys_are_kafkas_own(groovy: GroovyRunner, version: str) -> None:
    """MM30, MM42: the keys that the doctor knows are those of Kafka's ConfigDefs, neither more nor fewer."""
    lines = groovy("keys", jars=kafka_jars(LocalSettings(kafka_version=version))).splitlines()
    kafkas = {part: set(keys.split(",")) for part, keys in (line.split("\t") for line in lines if "\t" in line)}
    known = known_keys(KafkaVersion.parse(version))
    assert set(kafkas) == set(PARTS)
    for part in PARTS:
        assert known.of(part) == kafkas[part], part


CLAIMS = {
    "MM04": {"consumer isolation.level": "read_uncommitted"},
    "MM07": {"connector transaction.boundary.interval.ms": "null", "worker offset.flush.interval.ms": "60000"},
    "MM08": {"worker scheduled.rebalance.max.delay.ms": "300000"},
    "MM09": {"worker exactly.once.source.support": "disabled"},
    "MM12": {
        "source replication.factor": "2",
        "source offset-syncs.topic.replication.factor": "3",
        "checkpoint checkpoints.topic.replication.factor": "3",
    },
    "MM13": {"sync of retention.ms": "true"},
    "MM14": {
        "sync of min.insync.replicas": "false",
        "sync of min.insync.replicas with a list of one's own": "true",
    },
    "MM15": {"source sync.topic.acls.enabled": "true", "ALL becomes": "READ"},
    "MM16": {"connector tasks.max": "1"},
    "MM17": {"source refresh.topics.interval.seconds": "600", "checkpoint refresh.groups.interval.seconds": "600"},
    "MM18": {"source offset.lag.max": "100"},
    "MM19": {"checkpoint sync.group.offsets.enabled": "false"},
    "MM20": {"worker header.converter": "class org.apache.kafka.connect.storage.SimpleHeaderConverter"},
    "MM21": {"the worker's producer batch.size": "9"},
    "MM22": {"the worker's producer max.in.flight.requests.per.connection": "1", "producer batch.size": "16384"},
    "MM23": {"consumer receive.buffer.bytes": "65536", "consumer max.partition.fetch.bytes": "1048576"},
    "MM25": {"the task's consumer auto.offset.reset": "earliest"},
    "MM26": {"a task whose read is refused returns": "null"},
    "MM27": {
        "source offset-syncs.topic.location": "source",
        "checkpoint offset-syncs.topic.location": "source",
    },
    "MM31": {
        "sync of message.timestamp.type": "false",
        "sync of message.timestamp.before.max.ms": "true",
        "sync of message.timestamp.after.max.ms": "true",
    },
    "MM32": {"a pattern with a comma copies orders": "PatternSyntaxException"},
    "MM39": {"producer transaction.timeout.ms": "60000"},
    "MM40": {"producer max.request.size": "1048576"},
    "MM49": {"a single backslash is read as": "orders-d+"},
    "MM50": {"a letter outside ASCII is read as": "[195, 188]", "behind a byte order mark the first key is": "null"},
    "MM43": {"the worker's producer enable.idempotence": "false"},
}
"""Rule → what Kafka's classes must say for its claim to be true."""


@pytest.mark.parametrize("version", ["3.9.1", "4.3.1"])
def test_claims_are_what_kafkas_classes_say(groovy: GroovyRunner, version: str) -> None:
    """Defaults, filters, what becomes of a refused read and of an ACL, and MM29: what each version's classes do."""
    lines = groovy("claims", jars=kafka_jars(LocalSettings(kafka_version=version))).splitlines()
    said = dict(line.split("\t", 1) for line in lines if "\t" in line)
    claimed = {claim: value for claims in CLAIMS.values() for claim, value in claims.items()}
    claimed["copies orders.internal"] = str(version.startswith("4.")).lower()
    assert {claim: said.get(claim) for claim in claimed} == claimed
