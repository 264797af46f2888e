"""Files of the shapes that people start from: what is wrong with them is found, and nothing else is claimed.

The texts are our own; their keys are those of Kafka's example, Strimzi's example and AWS's sample of MSK Connect.
"""

import json

import pytest

from mirrormaker.doctor import Severity, diagnose

LIKE_KAFKAS_EXAMPLE = """
# two clusters, both ways
clusters = A, B
A.bootstrap.servers = a1:9092, a2:9092
B.bootstrap.servers = b1:9092, b2:9092
A->B.enabled = true
A->B.topics = .*
B->A.enabled = true
B->A.topics = .*
replication.factor = 1
checkpoints.topic.replication.factor = 1
heartbeats.topic.replication.factor = 1
offset-syncs.topic.replication.factor = 1
offset.storage.replication.factor = 1
status.storage.replication.factor = 1
config.storage.replication.factor = 1
"""
LIKE_STRIMZIS_EXAMPLE = """
apiVersion: kafka.strimzi.io/v1
kind: KafkaMirrorMaker2
metadata:
  name: mirror
spec:
  version: 4.2.0
  replicas: 1
  target:
    alias: b
    bootstrapServers: b-kafka-bootstrap:9092
    groupId: mirror
    configStorageTopic: mirror-configs
    offsetStorageTopic: mirror-offsets
    statusStorageTopic: mirror-status
    config:
      config.storage.replication.factor: -1
      offset.storage.replication.factor: -1
      status.storage.replication.factor: -1
  mirrors:
    - source:
        alias: a
        bootstrapServers: a-kafka-bootstrap:9092
      sourceConnector:
        tasksMax: 1
        config:
          replication.factor: -1
          offset-syncs.topic.replication.factor: -1
          sync.topic.acls.enabled: "false"
          refresh.topics.interval.seconds: 600
      checkpointConnector:
        tasksMax: 1
        config:
          checkpoints.topic.replication.factor: -1
          sync.group.offsets.enabled: "false"
          refresh.groups.interval.seconds: 600
      topicsPattern: ".*"
      groupsPattern: ".*"
"""
LIKE_AWS_SAMPLE = {
    "connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector",
    "clusters": "primary,replica",
    "source.cluster.alias": "primary",
    "target.cluster.alias": "replica",
    "source.cluster.bootstrap.servers": "b-1.p.kafka.eu-west-1.amazonaws.com:9098",
    "target.cluster.bootstrap.servers": "b-1.r.kafka.us-east-1.amazonaws.com:9098",
    "source.cluster.security.protocol": "SASL_SSL",
    "source.cluster.sasl.mechanism": "AWS_MSK_IAM",
    "source.cluster.sasl.jaas.config": "software.amazon.msk.auth.iam.IAMLoginModule required;",
    "target.cluster.security.protocol": "SASL_SSL",
    "target.cluster.producer.compression.type": "lz4",
    "producer.batch.size": "500000",
    "consumer.max.poll.records": "1000",
    "tasks.max": "9",
    "topics": "orders",
    "replication.factor": "3",
    "offset-syncs.topic.replication.factor": "3",
    "refresh.topics.interval.seconds": "60",
    "sync.topic.acls.enabled": "false",
    "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
}
STAY_PUT = {"MM09", "MM13"}  # copied twice after a crash; the target's retention is wiped


@pytest.mark.parametrize(
    "name,text,codes",
    [
        (
            "connect-mirror-maker.properties",
            LIKE_KAFKAS_EXAMPLE,
            STAY_PUT | {"MM08", "MM15", "MM16", "MM17", "MM19", "MM29"},
        ),
        ("mirror.yaml", LIKE_STRIMZIS_EXAMPLE, STAY_PUT | {"MM08", "MM16", "MM17", "MM29"}),
        ("connector.json", json.dumps(LIKE_AWS_SAMPLE, indent=2), STAY_PUT | {"MM02", "MM20", "MM21"}),
    ],
)
def test_each_true_trap_and_no_other(name: str, text: str, codes: set[str]) -> None:
    """Exactly these are reported as certain; what depends on things outside the file is advice."""
    report = diagnose({name: text})
    assert {finding.code for finding in report.findings if finding.severity is not Severity.ADVICE} == codes


def test_what_aws_sample_sets_without_effect_is_named_with_the_right_key() -> None:
    """Producer settings that reach nobody are reported with the key that would reach the producer."""
    report = diagnose({"connector.json": json.dumps(LIKE_AWS_SAMPLE, indent=2)})
    fixes = {finding.key: finding.fix for finding in report.findings if finding.code == "MM21"}
    assert set(fixes) == {"target.cluster.producer.compression.type", "producer.batch.size"}
    assert fixes["producer.batch.size"].startswith("Write `producer.override.batch.size = 500000`")
