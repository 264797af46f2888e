"""The headers of a change: CloudEvents 1.0 in Kafka's binary mode, so that a reader knows a change without decoding it.

``ce_sequence`` is the CloudEvents *sequence* extension (zero-padded, so that text order is number order) and
``ce_partitionkey`` the *partitioning* extension; ``ce_shard``, ``ce_ordinal``, ``ce_epoch`` and ``ce_capturedtime`` are
extensions of this feed, and so is ``ce_writingregion``, which only changes of a global table have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from schemas.change import Change, Op
from schemas.errors import PoisonError
from schemas.key import key_text
from schemas.version import SEQUENCE_DIGITS, Version

TYPE_PREFIX = "changefeed.change."
"""``ce_type`` is this and the op: ``changefeed.change.c``."""

REPLAY = "ce_replay"
"""Name of the header that a replay adds; its value names the replay."""

WRITING_REGION = "ce_writingregion"
"""Header of changes whose item names the AWS region that wrote it (global tables)."""

_TYPE_PREFIX = TYPE_PREFIX.encode()
_SEQUENCE = b"%%0%dd" % SEQUENCE_DIGITS
_SPEC_VERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", b"application/avro")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the headers of a change say about it."""

    event_id: str
    op: Op
    source: str
    """ARN of the stream; ``urn:dynamodb:<region>:<table>`` for a row of a first load."""
    shard: str
    ordinal: int
    sequence: int
    epoch: int
    subject: str
    """The key as text (:func:`schemas.key.key_text`)."""
    occurred_at_ms: int
    captured_at_ms: int
    replay: str | None = None
    """Name of the replay that wrote this copy; None on the live topic."""
    writing_region: str | None = None
    """AWS region that wrote the item, where the item says so."""

    @property
    def version(self) -> Version:
        """The version of the item's state."""
        return Version(self.epoch, self.sequence)


@lru_cache(maxsize=4096)
def _time(at_ms: int) -> bytes:
    """RFC 3339 in UTC. Times repeat: DynamoDB's are whole seconds, capture is the same for a whole batch."""
    seconds, millis = divmod(at_ms, 1000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{millis:03d}Z".encode() if millis else f"{text}Z".encode()


@lru_cache(maxsize=4096)
def _milliseconds(text: bytes) -> int:
    at = datetime.fromisoformat(text.decode())
    return round(at.timestamp() * 1000)


@lru_cache(maxsize=1024)
def _source(stream: str, region: str, table: str) -> bytes:
    return (stream or f"urn:dynamodb:{region}:{table}").encode()


def headers_of(change: Change) -> list[tuple[str, bytes]]:
    """The headers that travel with a change."""
    source = change.source
    subject = key_text(change.key).encode()
    headers = [
        _SPEC_VERSION,
        ("ce_id", source.event_id.encode()),
        ("ce_source", _source(source.stream, source.region, source.table)),
        ("ce_type", _TYPE_PREFIX + change.op.encode()),
        ("ce_time", _time(change.occurred_at_ms)),
        ("ce_subject", subject),
        ("ce_partitionkey", subject),
        ("ce_sequence", _SEQUENCE % source.sequence),
        ("ce_shard", source.shard.encode()),
        ("ce_ordinal", b"%d" % source.ordinal),
        ("ce_epoch", b"%d" % change.version.epoch),
        ("ce_capturedtime", _time(change.captured_at_ms)),
        _CONTENT_TYPE,
    ]
    if source.writing_region is not None:
        headers.append((WRITING_REGION, source.writing_region.encode()))
    return headers


def facts_of(headers: Iterable[tuple[str, bytes | None]] | None) -> Facts:
    """What the headers say, without touching the value.

    Raises:
        PoisonError: a header is missing or unreadable: the record was not written by a feed.
    """
    found: dict[str, Any] = dict(headers or ())  # a None is an error caught below
    try:
        replay, writer = found.get(REPLAY), found.get(WRITING_REGION)
        return Facts(
            event_id=found["ce_id"].decode(),
            op=Op.read(found["ce_type"].decode().rpartition(".")[2]),
            source=found["ce_source"].decode(),
            shard=found["ce_shard"].decode(),
            ordinal=int(found["ce_ordinal"]),
            sequence=int(found["ce_sequence"]),
            epoch=int(found["ce_epoch"]),
            subject=found["ce_subject"].decode(),
            occurred_at_ms=_milliseconds(found["ce_time"]),
            captured_at_ms=_milliseconds(found["ce_capturedtime"]),
            replay=None if replay is None else replay.decode(),
            writing_region=None if writer is None else writer.decode(),
        )
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise PoisonError(
            f"the headers are not those of a change: {error!r}",
            hint="something else than a feed wrote to this topic, or a copy lost its headers (header.converter)",
            path="headers",
        ) from error
