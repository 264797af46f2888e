"""Text → documents: properties as Java reads them, Connect's JSON, Strimzi's YAML, IAM policies; lines are kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import javaproperties
import yaml

from mirrormaker.doctor import bounds
from mirrormaker.doctor.document import Document, Kind, Value
from schemas.errors import ConfigError

_MIRROR_CLASSES = ("MirrorSourceConnector", "MirrorCheckpointConnector", "MirrorHeartbeatConnector")
_HINT = "It reads mm2.properties, connectors' JSON, KafkaMirrorMaker2 YAML, Connect worker properties and IAM policies."
_MSK_CONNECT = (("connectorConfiguration", "kafkaConnectVersion"), ("ConnectorConfiguration", "KafkaConnectVersion"))
"""Where a request has the configuration and the version: as the API spells them, and with capitals."""

_MERGE = "tag:yaml.org,2002:merge"
_PAIR = re.compile(r"((?<!\\)(?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


def read_documents(text: str, path: str) -> tuple[Document, ...]:
    """The documents of a file that the doctor knows.

    Raises:
        ConfigError: the file cannot be parsed, or is nothing that the doctor knows.
    """
    bounds.check_size(text, path)
    stripped = text.lstrip("\ufeff \t\r\n")
    structured = path.endswith((".json", ".yaml", ".yml")) or stripped.startswith(("{", "---", "apiVersion:"))
    documents = tuple(_structured(text, path)) if structured else (_properties(text, path),)
    if not documents:
        raise ConfigError(f"{path} has nothing of MirrorMaker.", hint=_HINT)
    return documents


def _properties(text: str, path: str) -> Document:
    bounds.check_continued_lines(text, path)
    values: list[Value] = []
    line = 1
    try:
        for element in javaproperties.parse(text):
            if isinstance(element, javaproperties.KeyValue):
                values.append(Value(element.value, element.key, line, path, element.source))
            if len(values) > bounds.MAX_VALUES:
                raise bounds.too_many_values(path)
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
    is_json = path.endswith(".json") or (text.lstrip().startswith("{") and not path.endswith((".yaml", ".yml")))
    if is_json:
        _check_json(text, path)
    # JSON is YAML but for tabs between tokens; a tab inside a JSON string would be a fault anyway
    readable = _PAIR.sub(_one_letter, text.replace("\t", "    ")) if is_json else text
    try:
        bounds.check_depth(readable, path)
        roots = list(yaml.compose_all(readable, Loader=bounds.Loader))
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


def _one_letter(pair: re.Match[str]) -> str:
    """JSON writes a letter outside the first plane as two escapes, YAML as one."""
    high, low = int(pair[2], 16), int(pair[3], 16)
    return f"{pair[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


def _check_json(text: str, path: str) -> None:
    """Connect and AWS refuse what only YAML allows: comments, a comma behind the last key, bare words."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}, line {error.lineno}: {error.msg}.", hint="It is no JSON: comments and a last comma are refused."
        ) from error
    except RecursionError as error:
        raise bounds.too_many_values(path) from error


def _document(root: yaml.Node | None, path: str) -> Document | None:
    if not isinstance(root, yaml.MappingNode):
        return None
    top = _children(root)
    kind = _text(top.get("kind"))
    if kind == "KafkaMirrorMaker2":
        version = _text(_children(top["spec"]).get("version")) if "spec" in top else ""
        values = _flattened(root, path)
        return Document(path, Kind.STRIMZI, values, _text(top.get("apiVersion")), kafka_version=version)
    if kind == "KafkaConnector":
        return _kafka_connector(top, path)
    if "Statement" in top:
        return Document(path, Kind.POLICY, _flattened(root, path))
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
    if len(values) > bounds.MAX_VALUES:
        raise bounds.too_many_values(path)
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


def _flattened(root: yaml.Node, path: str) -> tuple[Value, ...]:
    """Every value of a document.

    Raises:
        ConfigError: there are more than a configuration has, as an alias of an alias can make.
    """
    values = tuple(islice(_flatten(root, "", path), bounds.MAX_VALUES + 1))
    if len(values) > bounds.MAX_VALUES:
        raise bounds.too_many_values(path)
    return values


def _flatten(node: yaml.Node, prefix: str, path: str, depth: int = 0) -> Iterator[Value]:
    """Scalars by their path; a key with dots, as in Kafka's configurations, stands as it is behind its parents."""
    if depth > bounds.MAX_DEPTH:
        raise bounds.too_many_values(path)
    if isinstance(node, yaml.SequenceNode):
        for index, member in enumerate(node.value):
            if isinstance(member, yaml.ScalarNode):
                yield Value(member.value, f"{prefix}[{index}]", member.start_mark.line + 1, path)
            else:
                yield from _flatten(member, f"{prefix}[{index}]", path, depth + 1)
    for key, value, line in _pairs(node):
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, yaml.ScalarNode):
            yield Value(value.value, name, line, path)
        else:
            yield Value("", name, line, path)
            yield from _flatten(value, name, path, depth + 1)


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node, int]]:
    """A mapping's own pairs, and before them those that ``<<`` takes from other mappings, as kubectl does."""
    if not isinstance(node, yaml.MappingNode):
        return
    own = {_text(key) for key, _ in node.value}
    for key, value in node.value:
        if key.tag == _MERGE:
            given = value.value if isinstance(value, yaml.SequenceNode) else [value]
            merged = (pair for one in given if isinstance(one, yaml.MappingNode) for pair in one.value)
            yield from ((_text(name), of, name.start_mark.line + 1) for name, of in merged if _text(name) not in own)
    yield from ((_text(key), value, key.start_mark.line + 1) for key, value in node.value if key.tag != _MERGE)


def _children(node: yaml.Node) -> dict[str, yaml.Node]:
    return {key: value for key, value, _ in _pairs(node)}


def _text(node: yaml.Node | None) -> str:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    return ""
