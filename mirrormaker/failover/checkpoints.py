"""MirrorMaker's checkpoints: what a group had committed at the source, and which offset of the copy that is.

The records of ``<source>.checkpoints.internal`` (Kafka's ``mirror.Checkpoint``, version 0): key ``group, topic,
partition``; value ``version, upstream offset, downstream offset, metadata``; big-endian, texts with their length in two
bytes. A downstream offset is never ahead of the upstream one: MirrorMaker takes the last pair of offsets at or before
it, and of a pair before it the offset after the pair's (KIP-545, KAFKA-12468).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.errors import PoisonError

_VERSION = 0


@dataclass(frozen=True)
class Checkpoint:
    """Where a group was in a partition.

    Attributes:
        group: the consumer group.
        topic: the topic, named as in the copy.
        partition: its number.
        upstream: the group's committed offset at the source.
        downstream: an offset of the copy that is not ahead of it.
    """

    group: str
    topic: str
    partition: int
    upstream: int
    downstream: int


def read_checkpoint(key: bytes, value: bytes) -> Checkpoint:
    """One record.

    Raises:
        PoisonError: it is no checkpoint, or of another version.
    """
    try:
        group, rest = _text(key)
        topic, rest = _text(rest)
        (partition,) = struct.unpack(">i", rest)
        version, upstream, downstream = struct.unpack_from(">hqq", value)
    except (struct.error, UnicodeDecodeError) as error:
        raise PoisonError(
            f"A record is no checkpoint: {error}.", hint="Is the topic that of MirrorMaker's checkpoints?"
        ) from error
    if version != _VERSION:
        raise PoisonError(f"A checkpoint has version {version}.", hint="A newer MirrorMaker wrote it; tell us.")
    return Checkpoint(group, topic, partition, upstream, downstream)


def read_checkpoints(records: Mapping[bytes, bytes | None]) -> tuple[Checkpoint, ...]:
    """The last checkpoint of each group and partition, from the topic's last value for each key."""
    return tuple(read_checkpoint(key, value) for key, value in records.items() if key and value)


def _text(data: bytes) -> tuple[str, bytes]:
    (length,) = struct.unpack_from(">h", data)
    if length < 0 or len(data) < 2 + length:
        raise struct.error("a text is cut short")
    return data[2 : 2 + length].decode(), data[2 + length :]
