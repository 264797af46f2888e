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
    """For 150 random files, herders and every key of every worker and connector are what MirrorMakerConfig makes."""
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
    """The keys that the doctor knows are those of Kafka's ConfigDefs, neither more nor fewer."""
    lines = groovy("keys", jars=kafka_jars(LocalSettings(kafka_version=version))).splitlines()
    kafkas = {part: set(keys.split(",")) for part, keys in (line.split("\t") for line in lines if "\t" in line)}
    known = known_keys(KafkaVersion.parse(version))
    assert set(kafkas) == set(PARTS)
    for part in PARTS:
        assert known.of(part) == kafkas[part], part
