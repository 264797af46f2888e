"""A file as the doctor sees it: what kind it is, and each key with its value and line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a file is."""

    DEDICATED = "mm2.properties"
    WORKER = "Connect worker properties"
    CONNECTOR = "connector"
    STRIMZI = "KafkaMirrorMaker2"
    POLICY = "IAM policy"


@dataclass(frozen=True)
class Value:
    """A value and where it was written.

    Attributes:
        text: the value as the program reads it.
        key: the key, or path, as it stands in the file.
        line: its line, from 1.
        path: the file.
        raw: of properties: the lines as they stand in the file.
    """

    text: str
    key: str
    line: int
    path: str
    raw: str = ""


Settings = dict[str, Value]
"""Key, as the part that reads it knows it → value with its origin."""


@dataclass(frozen=True)
class Document:
    """One file (or one document of a file with several).

    Attributes:
        path: how the user named it.
        kind: what it is.
        values: every key with a scalar value, in order, also those that are written twice.
        api_version: of a Kubernetes resource.
        kafka_version: Kafka's version, where the file names it.
        service: the service that runs the workers, where the file shows it (``msk-connect``).
    """

    path: str
    kind: Kind
    values: tuple[Value, ...]
    api_version: str = ""
    kafka_version: str = ""
    service: str = ""

    @property
    def settings(self) -> Settings:
        """Key → value; the last of several wins, as in Java."""
        return {value.key: value for value in self.values}

    @property
    def anchor(self) -> Value:
        """What to point at when something is missing: the first line that has a key."""
        return self.values[0] if self.values else Value("", "", 1, self.path)
