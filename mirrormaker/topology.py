"""Which clusters there are and what is copied between them: plain frozen values that every form is rendered from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from schemas.errors import ConfigError

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""As large as the feed's topics allow: two images of 400 KiB, larger as text, with headers, and room."""

_ALIAS = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class NoAuth:
    """No encryption, no identity: for brokers on one machine."""


@dataclass(frozen=True)
class TlsAuth:
    """Encryption, and a client certificate when one is given.

    All are PEM files on the machine that runs the copy.

    Attributes:
        truststore_location: authorities to trust; empty: the public ones.
        certificate_location: the client's certificate; empty: none.
        key_location: its private key.
        key_password_reference: a config-provider expression for the key's password; empty: it has none.
    """

    truststore_location: str = ""
    certificate_location: str = ""
    key_location: str = ""
    key_password_reference: str = ""

    def __post_init__(self) -> None:
        if bool(self.certificate_location) != bool(self.key_location):
            raise ConfigError("A client certificate comes with its key.", hint="Give both files, or neither.")
        if self.key_password_reference:
            _require_reference(self.key_password_reference, "password of a private key")


@dataclass(frozen=True)
class ScramAuth:
    """SASL/SCRAM-SHA-512 over TLS. The password is a config-provider expression, never the secret itself.

    Example: ``ScramAuth("mirror", "${env:EU_PASSWORD}")``. Strimzi takes it from a Kubernetes secret instead.
    """

    username: str
    password_reference: str
    mechanism: str = "SCRAM-SHA-512"
    truststore_location: str = ""

    def __post_init__(self) -> None:
        _require_reference(self.password_reference, "SCRAM password")
        if '"' in self.username or "\\" in self.username:
            raise ConfigError("A SCRAM user name has a quote or a backslash.", hint="JAAS could not read it back.")


@dataclass(frozen=True)
class IamAuth:
    """MSK's IAM access control by aws-msk-iam-auth, with the role of the machine or, when given, ``role_arn``."""

    role_arn: str = ""


Auth = NoAuth | TlsAuth | ScramAuth | IamAuth


def _require_reference(text: str, what: str) -> None:
    if not re.fullmatch(r"\$\{[a-z]+:[^}]+\}", text):
        raise ConfigError(f"A {what} is given in clear.", hint="Give an expression such as ${env:EU_PASSWORD}.")


@dataclass(frozen=True)
class Cluster:
    """One Kafka cluster.

    Attributes:
        name: its alias in keys, topics' provenance and metrics (``eu``).
        bootstrap_servers: ``host:port,host:port``.
        auth: how clients prove who they are.
        replication_factor: of every topic that MirrorMaker creates here; 1 locally, 3 on MSK.
        arn: MSK's name of the cluster; needed by the policies and by MSK's own forms.
        region: AWS region, for the same.
        subnet_ids: where MSK Connect or MSK Replicator puts its network interfaces.
        security_group_ids: of those interfaces.
    """

    name: str
    bootstrap_servers: str
    auth: Auth = field(default_factory=NoAuth)
    replication_factor: int = 3
    arn: str = ""
    region: str = ""
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _ALIAS.fullmatch(self.name):
            raise ConfigError(
                f"'{self.name}' cannot name a cluster of MirrorMaker.",
                hint="Small letters, digits and hyphens, a letter first: it is part of keys such as us.producer.acks.",
            )
        if self.replication_factor < 1:
            raise ConfigError(
                f"Cluster {self.name} has replication factor {self.replication_factor}.", hint="1 or more."
            )


@dataclass(frozen=True)
class Pace:
    """How often the copy looks for what changed. The defaults are for production; ``LOCAL_PACE`` makes a demo quick."""

    refresh_topics_interval_s: int = 30
    refresh_groups_interval_s: int = 30
    emit_checkpoints_interval_s: int = 10
    sync_group_offsets_interval_s: int = 10


LOCAL_PACE = Pace(
    refresh_topics_interval_s=5,
    refresh_groups_interval_s=5,
    emit_checkpoints_interval_s=5,
    sync_group_offsets_interval_s=5,
)


@dataclass(frozen=True)
class Flow:
    """One direction of copying: the feeds' topics from ``source`` to ``target``.

    Attributes:
        source: where the records come from.
        target: where they go; MirrorMaker runs beside it.
        feeds: names of feeds. Of feed ``orders`` the topics ``orders`` and ``orders.control`` are copied; its
            positions, dead letters and replays belong to the source region alone.
        tasks_max: tasks of the source connector; more than the partitions of all topics together has no use.
        max_record_bytes: the largest record, before compression; the topics' ``max.message.bytes`` must allow it too.
        transaction_timeout_ms: how long a killed task's open transaction can hold back read_committed readers of
            the target.
        pace: how often topics, groups and offsets are looked at.
    """

    source: Cluster
    target: Cluster
    feeds: tuple[str, ...]
    tasks_max: int = 4
    max_record_bytes: int = MAX_RECORD_BYTES
    transaction_timeout_ms: int = 10_000
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        if self.source.name == self.target.name:
            raise ConfigError(f"A flow cannot go from {self.source.name} to itself.", hint="Name another target.")
        if not self.feeds:
            raise ConfigError(
                f"The flow {self.name} copies no feed.", hint="Name at least one feed, for example orders."
            )
        for feed in self.feeds:
            if not re.fullmatch(r"[A-Za-z0-9._-]+", feed):
                raise ConfigError(
                    f"'{feed}' cannot be a topic's name.", hint="Letters, digits, dot, underscore and hyphen."
                )

    @property
    def name(self) -> str:
        """``eu->us``: what Kafka calls it in keys and metrics."""
        return f"{self.source.name}->{self.target.name}"

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that are copied, in the order of the feeds."""
        return tuple(topic for feed in self.feeds for topic in (feed, f"{feed}.control"))

    @property
    def topic_patterns(self) -> tuple[str, ...]:
        """The topics as regular expressions that match exactly them (MirrorMaker reads each name as a pattern)."""
        return tuple(topic.replace(".", r"\.") for topic in self.topics)

    @property
    def group_patterns(self) -> tuple[str, ...]:
        """The consumer groups whose offsets are translated: ``orders.<who>``."""
        return tuple(rf"{feed.replace('.', chr(92) + '.')}\..*" for feed in self.feeds)
