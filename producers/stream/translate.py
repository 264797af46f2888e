"""From a stream record to a change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from connectors.dynamodb_streams import StreamRecord
from schemas.change import Change, Image, Op, Source
from schemas.errors import PoisonError
from schemas.version import Version

TTL_PRINCIPAL = "dynamodb.amazonaws.com"
"""``userIdentity.principalId`` of a delete by time-to-live."""

OPS = {"INSERT": Op.CREATE, "MODIFY": Op.UPDATE, "REMOVE": Op.DELETE}
"""The op of a stream record's ``eventName``."""
_HINT = "the record is whole in the dead letters; mend the schema or the translation, then retry it from there"


class Codec(Protocol):
    """What is needed of :class:`schemas.codec.ChangeCodec`."""

    def encode(self, change: Change) -> bytes:
        """The record's value. Raises PoisonError."""
        ...

    def image_from_dynamodb(self, attributes: Mapping[str, Any]) -> Image:
        """An item as its image. Raises PoisonError."""
        ...


@dataclass(frozen=True, slots=True)
class FeedSource:
    """Which feed publishes which table."""

    feed: str
    """Name of the feed: its topics, groups and transactional ids begin with it."""
    table: str
    region: str
    """AWS region of the table."""
    time_attribute: str | None = None
    """An item attribute (N) with the time of the write in ms, from which delays are measured."""
    region_attribute: str | None = None
    """An item attribute (S) that names the region which wrote the item, for global tables."""
    omit: frozenset[str] = frozenset()
    """Attributes left out of the images."""


Translate = Callable[[StreamRecord, int, int, int], Change]
"""``(record, sequence, ordinal, captured_at_ms) -> Change``, for one shard and epoch."""


def sequence_of(record: StreamRecord) -> int:
    """The record's sequence number, up to 40 digits: an integer, never compared as text."""
    return int(record["dynamodb"]["SequenceNumber"])


def occurred_at_ms_of(record: StreamRecord) -> int:
    """ApproximateCreationDateTime in ms; 0 when the record has none."""
    return round(float(record["dynamodb"].get("ApproximateCreationDateTime", 0)) * 1000)


def translator(source: FeedSource, codec: Codec, *, stream: str, shard: str, epoch: int) -> Translate:
    """The translation for one shard: what is the same for all its records is bound once."""
    table, region, region_attribute = source.table, source.region, source.region_attribute
    to_image, prefix = _to_image(codec, source.omit), shard + ":"

    def translate(record: StreamRecord, sequence: int, ordinal: int, captured_at_ms: int) -> Change:
        """Raises PoisonError: the record can never become a change."""
        try:
            data = record["dynamodb"]
            op = OPS[record["eventName"]]
            before, after = data.get("OldImage"), data.get("NewImage")
            if (before is None) is not (op is Op.CREATE) or (after is None) is not (op is Op.DELETE):
                raise PoisonError(f"a record of {record['eventName']} lacks an image", hint=_HINT, path="dynamodb")
            # read before anything is left out; a delete's image names the region of the item's last write
            writer = (after or before or {}).get(region_attribute, {}).get("S") if region_attribute else None
            # by position: half the time of keywords, and this runs for every record
            return Change(
                op,
                data["Keys"],
                None if before is None else _image(to_image, before, "before"),
                None if after is None else _image(to_image, after, "after"),
                Source(
                    table,
                    region,
                    stream,
                    shard,
                    sequence,
                    ordinal,
                    prefix + str(sequence),
                    op is Op.DELETE and is_ttl(record),
                    writer,
                ),
                Version(epoch, sequence),
                round(data["ApproximateCreationDateTime"] * 1000),
                captured_at_ms,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise PoisonError(f"the stream record cannot be read: {error!r}", hint=_HINT) from error

    return translate


def _image(to_image: Callable[[Mapping[str, Any]], Image], attributes: Mapping[str, Any], which: str) -> Image:
    try:
        return to_image(attributes)
    except PoisonError as error:
        error.path = f"{which}.{error.path}".rstrip(".")
        raise


def _to_image(codec: Codec, omit: frozenset[str]) -> Callable[[Mapping[str, Any]], Image]:
    if not omit:
        return codec.image_from_dynamodb
    return lambda attributes: codec.image_from_dynamodb({n: a for n, a in attributes.items() if n not in omit})


def is_ttl(record: StreamRecord) -> bool:
    """Whether DynamoDB's time-to-live made the record."""
    identity = record.get("userIdentity")
    # boto3 names them PrincipalId and Type, the wire and DynamoDB Local principalId and type
    return identity is not None and TTL_PRINCIPAL in (identity.get("PrincipalId"), identity.get("principalId"))


def written_at_ms_of(record: StreamRecord, attribute: str) -> int | None:
    """The time of the write that the item itself names, in ms; None when it names none (deletes name an older one)."""
    try:
        return int(float(record["dynamodb"]["NewImage"][attribute]["N"]))
    except (KeyError, TypeError, ValueError):
        return None
