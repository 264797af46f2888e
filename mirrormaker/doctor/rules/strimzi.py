"""Strimzi's resource: fields by API version, logins, and settings that the operator drops."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirrormaker.doctor.document import Document, Kind, Value
from mirrormaker.doctor.findings import Severity
from mirrormaker.doctor.known import nearest
from mirrormaker.doctor.rule import Hit, Rule
from mirrormaker.doctor.setup import Setup

_OLD_FIELDS = {
    r"spec\.connectCluster": "spec.target.alias",
    r"spec\.clusters": "spec.target and spec.mirrors[].source",
    r"spec\.mirrors\[\d+\]\.sourceCluster": "spec.mirrors[].source.alias",
    r"spec\.mirrors\[\d+\]\.targetCluster": "spec.target.alias",
    r"spec\.mirrors\[\d+\]\.heartbeatConnector": "nothing: v1 has no heartbeat connector",
    r"spec\.mirrors\[\d+\]\.topicsBlacklistPattern": "topicsExcludePattern",
    r"spec\.mirrors\[\d+\]\.groupsBlacklistPattern": "groupsExcludePattern",
    r"spec\.externalConfiguration": "spec.template.connectContainer.env and volumes",
}
FIELDS = {
    "spec": "version replicas image resources livenessProbe readinessProbe jvmOptions jmxOptions logging metricsConfig "
    "tracing template clientRackInitImage rack target mirrors",
    "target": "alias bootstrapServers groupId configStorageTopic statusStorageTopic offsetStorageTopic config tls "
    "authentication",
    "source": "alias bootstrapServers config tls authentication",
    "mirror": "source sourceConnector checkpointConnector topicsPattern topicsExcludePattern groupsPattern "
    "groupsExcludePattern",
    "connector": "tasksMax pause config autoRestart state listOffsets alterOffsets version",
}
"""What each level of a v1 resource has, as Strimzi's model classes say."""
_LEVELS = (
    (r"spec\.(\w+)(?:\[\d+\])?", "spec"),
    (r"spec\.target\.(\w+)", "target"),
    (r"spec\.mirrors\[\d+\]\.(\w+)", "mirror"),
    (r"spec\.mirrors\[\d+\]\.source\.(\w+)", "source"),
    (r"spec\.mirrors\[\d+\]\.(?:source|checkpoint)Connector\.(\w+)", "connector"),
)
DROPPED = (
    "group.id",
    "config.storage.topic",
    "offset.storage.topic",
    "status.storage.topic",
    "ssl.",
    "sasl.",
    "security.",
    "listeners",
    "plugin.path",
    "rest.",
    "bootstrap.servers",
    "consumer.interceptor.classes",
    "producer.interceptor.classes",
)
"""What a cluster's ``config`` may not set: the operator writes these itself, or nobody may."""
KEPT = ("ssl.endpoint.identification.algorithm", "ssl.cipher.suites", "ssl.protocol", "ssl.enabled.protocols")
DROPPED_OF_CONNECTORS = ("name", "connector.class", "tasks.max", "connector.plugin.version")
"""The same of a connector's ``config``; ``tasksMax`` and ``version`` have fields of their own."""
_IAM_PORT = re.compile(r"\.kafka(-serverless)?\.[a-z0-9-]+\.amazonaws\.com:(9098|9198)")


def _is_v1(document: Document) -> bool:
    return document.api_version.endswith("/v1")


def _old_version(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(Kind.STRIMZI):
        if not _is_v1(document):
            yield Hit(
                document.anchor,
                key="apiVersion",
                facts={"found": document.api_version, "instead": "kafka.strimzi.io/v1"},
            )
            continue
        for value in document.values:
            for pattern, instead in _OLD_FIELDS.items():
                if re.fullmatch(pattern, value.key):
                    yield Hit(value, facts={"found": value.key, "instead": instead})


def _unknown_field(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(Kind.STRIMZI):
        for value in document.values if _is_v1(document) else ():
            field = _unknown(value)
            if field:
                yield Hit(value, facts={"near": field})


def _unknown(value: Value) -> str:
    """The nearest field to an unknown one, or what there is; empty when the field is known, or old (another rule)."""
    if any(re.fullmatch(pattern, value.key) for pattern in _OLD_FIELDS):
        return ""
    for pattern, level in _LEVELS:
        match = re.fullmatch(pattern, value.key)
        fields = FIELDS[level].split()
        if match and match[1] not in fields:
            near = nearest(match[1], fields)
            return f"Did you mean `{near}`?" if near else f"Known here: {', '.join(fields)}."
    return ""


def _iam_login(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(Kind.STRIMZI):
        settings = document.settings
        for key, value in settings.items():
            if not key.endswith(".bootstrapServers") or not _IAM_PORT.search(value.text):
                continue
            at = key.removesuffix(".bootstrapServers")
            kind = settings.get(f"{at}.authentication.type")
            if kind is None or kind.text != "custom":
                yield Hit(kind or value, key=f"{at}.authentication.type")


def _dropped(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(Kind.STRIMZI):
        for value in document.values:
            match = re.fullmatch(r"spec\.(?:target|clusters\[\d+\]|mirrors\[\d+\]\.source)\.config\.(.+)", value.key)
            if match and match[1].startswith(DROPPED) and match[1] not in KEPT:
                yield Hit(value)
            match = re.fullmatch(r"spec\.mirrors\[\d+\]\.\w+Connector\.config\.(.+)", value.key)
            if match and match[1] in DROPPED_OF_CONNECTORS:
                yield Hit(value)


def _attached_to_the_source(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(Kind.STRIMZI):
        settings = document.settings
        connect = settings.get("spec.connectCluster")
        for key, target in settings.items():
            if re.fullmatch(r"spec\.mirrors\[\d+\]\.targetCluster", key) and connect and connect.text != target.text:
                yield Hit(
                    connect,
                    facts={"target": target.text, "connect": connect.text},
                    fix=f"connectCluster: {target.text}",
                )


RULES = (
    Rule(
        "MM34",
        "an API version that is gone",
        Severity.SURPRISE,
        "`{found}` belongs to v1beta2, which Strimzi 1.0 refuses; 0.49 and later read v1.",
        "Instead: {instead}.",
        "Strimzi's changelog, 0.49 and 1.0",
        _old_version,
    ),
    Rule(
        "MM35",
        "IAM needs a login of its own",
        Severity.STALL,
        "The address is MSK's IAM port, and Strimzi has no type for it: the port closes the connection.",
        "type: custom with sasl: true and the four sasl. keys, and an image that has aws-msk-iam-auth.",
        "Strimzi's documentation of custom authentication; aws-msk-iam-auth",
        _iam_login,
    ),
    Rule(
        "MM44",
        "a field that Strimzi does not know",
        Severity.SURPRISE,
        "Kubernetes drops or refuses `{key}`: v1 has no such field.",
        "{near}",
        "io.strimzi:api 1.2.0",
        _unknown_field,
    ),
    Rule(
        "MM45",
        "a setting that the operator drops",
        Severity.SURPRISE,
        "Strimzi sets what begins so by itself, and drops it here with a warning in the operator's log.",
        "Use the resource's own field (tls, authentication, groupId, …StorageTopic).",
        "KafkaMirrorMaker2ClusterSpec.FORBIDDEN_PREFIXES",
        _dropped,
    ),
    Rule(
        "MM46",
        "attached to the wrong cluster",
        Severity.LOSS,
        "The workers are attached to {connect} and the mirror writes to {target}: Connect's producer writes to the "
        "cluster that "
        "its workers are attached to, so records do not reach {target}.",
        "connectCluster is always the target.",
        "Strimzi's documentation of KafkaMirrorMaker2Spec",
        _attached_to_the_source,
    ),
)
