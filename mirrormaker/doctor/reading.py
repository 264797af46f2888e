"""Text → documents: properties as Java reads them, Connect's JSON, Strimzi's YAML, IAM policies; lines are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import javaproperties
import yaml

from mirrormaker.doctor.document import Document, Kind, Value
from schemas.errors import ConfigError

_MIRROR_CLASSES = ("MirrorSourceConnector", "MirrorCheckpointConnector", "MirrorHeartbeatConnector")
_HINT = "It reads mm2.properties, connectors' JSON, KafkaMirrorMaker2 YAML, Connect worker properties and IAM policies."
_MSK_CONNECT = (("connectorConfiguration", "kafkaConnectVersion"), ("ConnectorConfiguration", "KafkaConnectVersion"))
"""Where a request has the configuration and the version: as the API spells them, and with capitals."""

MAX_BYTES = 1_048_576
"""No configuration is larger; a larger file is another file."""


def read_documents(text: str, path: str) -> tuple[Document, ...]:
    """The documents of a file that the doctor knows.

    Raises:
        ConfigError: the file cannot be parsed, or is nothing that the doctor knows.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than a configuration can be ({len(text)} characters).", hint=_HINT)
    stripped = text.lstrip()
    structured = path.endswith((".json", ".yaml", ".yml")) or stripped.startswith(("{", "---", "apiVersion:"))
    documents = tuple(_structured(text, path)) if structured else (_properties(text, path),)
    if not documents:
        raise ConfigError(f"{path} has nothing of MirrorMaker.", hint=_HINT)
    return documents


def _properties(text: str, path: str) -> Document:
    values: list[Value] = []
    line = 1
    try:
        for element in javaproperties.parse(text):
            if isinstance(element, javaproperties.KeyValue):
                values.append(Value(element.value, element.key, line, path, element.source))
            line += len(element.source.splitlines())
    except javaproperties.InvalidUEscapeError as error:
        raise ConfigError(
            f"{path}, line {line}: {error}.", hint="Java would not read it either: \\u needs four digits."
        ) from error
    keys = {value.key: value.text for value in values}
    if "connector.class" in keys:
        return Document(path, Kind.CONNECTOR, tuple(values))
    if "clusters" in keys or any("->" in key for key in keys):
        return Document(path, Kind.DEDICATED, tuple(values))
    if {"group.id", "bootstrap.servers"} & keys.keys() or "key.converter" in keys:
        return Document(path, Kind.WORKER, tuple(values))
    if any(key.endswith(".bootstrap.servers") for key in keys):
        return Document(path, Kind.DEDICATED, tuple(values))
    raise ConfigError(f"{path} has neither clusters nor a connector nor a worker.", hint=_HINT)


def _structured(text: str, path: str) -> Iterator[Document]:
    # JSON is YAML but for tabs between tokens; a tab inside a JSON string would be a fault anyway
    readable = text.replace("\t", "    ") if text.lstrip().startswith("{") else text
    try:
        roots = list(yaml.compose_all(readable, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else path
        raise ConfigError(
            f"{where}: {getattr(error, 'problem', None) or error}.", hint="It is no JSON or YAML."
        ) from error
    for root in roots:
        document = _document(root, path)
        if document:
            yield document


def _document(root: yaml.Node | None, path: str) -> Document | None:
    if not isinstance(root, yaml.MappingNode):
        return None
    top = _children(root)
    kind = _text(top.get("kind"))
    if kind == "KafkaMirrorMaker2":
        version = _text(_children(top["spec"]).get("version")) if "spec" in top else ""
        values = tuple(_flatten(root, "", path))
        return Document(path, Kind.STRIMZI, values, _text(top.get("apiVersion")), kafka_version=version)
    if kind == "KafkaConnector":
        return _kafka_connector(top, path)
    if "Statement" in top:
        return Document(path, Kind.POLICY, tuple(_flatten(root, "", path)))
    if "config" in top:
        return _connector(top["config"], path)
    for name, version in (
        ("connectorConfiguration", "kafkaConnectVersion"),
        ("ConnectorConfiguration", "KafkaConnectVersion"),
    ):
        document = _connector(top[name], path) if name in top else None
        if document:
            return replace(document, kafka_version=_text(top.get(version)), service="msk-connect")
    return _connector(root, path) if "connector.class" in top else None


def _connector(node: yaml.Node, path: str) -> Document | None:
    values = tuple(Value(_text(value), key, line, path) for key, value, line in _pairs(node))
    mirrors = any(value.key == "connector.class" and value.text.endswith(_MIRROR_CLASSES) for value in values)
    return Document(path, Kind.CONNECTOR, values) if mirrors else None


def _kafka_connector(top: dict[str, yaml.Node], path: str) -> Document | None:
    """Strimzi's KafkaConnector resource: class and tasks stand beside the configuration."""
    spec = {key: (value, line) for key, value, line in _pairs(top.get("spec"))}
    if "class" not in spec or not _text(spec["class"][0]).endswith(_MIRROR_CLASSES):
        return None
    values = [Value(_text(spec["class"][0]), "connector.class", spec["class"][1], path)]
    if "tasksMax" in spec:
        values.append(Value(_text(spec["tasksMax"][0]), "tasks.max", spec["tasksMax"][1], path))
    config = spec["config"][0] if "config" in spec else None
    values += [Value(_text(value), key, line, path) for key, value, line in _pairs(config)]
    return Document(path, Kind.CONNECTOR, tuple(values))


def _flatten(node: yaml.Node, prefix: str, path: str) -> Iterator[Value]:
    """Scalars by their path; a key with dots, as in Kafka's configurations, stands as it is behind its parents."""
    if isinstance(node, yaml.SequenceNode):
        for index, member in enumerate(node.value):
            if isinstance(member, yaml.ScalarNode):
                yield Value(member.value, f"{prefix}[{index}]", member.start_mark.line + 1, path)
            else:
                yield from _flatten(member, f"{prefix}[{index}]", path)
    for key, value, line in _pairs(node):
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, yaml.ScalarNode):
            yield Value(value.value, name, line, path)
        else:
            yield Value("", name, line, path)
            yield from _flatten(value, name, path)


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield _text(key), value, key.start_mark.line + 1


def _children(node: yaml.Node) -> dict[str, yaml.Node]:
    return {key: value for key, value, _ in _pairs(node)}


def _text(node: yaml.Node | None) -> str:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    return ""
