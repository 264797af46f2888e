"""A record as stored (key, value, headers) → what the judge wants to know of it: for topics, audit log and archive.

Equal bytes mean equal content: what one region's record said is kept for the others, up to ``KEPT_MAX`` records.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

from feed.verify.evidence import Seen, UnreadableRecord
from feed.workload.digest import image_digest
from schemas.change import Change, Image, Op
from schemas.codec import ChangeCodec
from schemas.errors import FeedError
from schemas.headers import facts_of
from schemas.key import key_bytes, key_text

KEPT_MAX: Final = 50_000
"""Decoded records kept for copies with the same bytes: about 30 MB."""

_UNREADABLE: Final = (FeedError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a damaged record can break on its way: it is evidence against its place, never an error of the verification."""

Headers = Iterable[tuple[str, bytes | None]]


def raw_digest(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """64 bits over a record as stored; every part is delimited, so that no two records share their bytes."""
    digest = blake2b(digest_size=8)
    for part in (key, value):
        digest.update(b"-" if part is None else b"%d:%b" % (len(part), part))
    for name, content in headers:
        encoded = name.encode()
        digest.update(b"%d:%b" % (len(encoded), encoded))
        digest.update(b"-" if content is None else b"%d:%b" % (len(content), content))
    return int.from_bytes(digest.digest(), "big")


class RecordReader:
    """Decodes records of one feed's topic, wherever they are stored."""

    def __init__(self, codec: ChangeCodec, revision_attribute: str = "revision") -> None:
        self._codec = codec
        self._revision = revision_attribute
        self._kept: dict[int, Seen] = {}

    def read(self, key: bytes | None, value: bytes | None, headers: Headers, where: str) -> Seen | UnreadableRecord:
        """What the record says, or why it says nothing."""
        headers = list(headers)
        raw = raw_digest(key, value, headers)
        kept = self._kept.pop(raw, None)
        if kept is None:
            try:
                kept = self._decode(key, value, headers, raw)
            except _UNREADABLE as error:
                return UnreadableRecord(where, f"not a change: {error}")
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[raw] = kept
        return kept._replace(where=where)

    def _decode(self, key: bytes | None, value: bytes | None, headers: Headers, raw: int) -> Seen:
        if value is None:
            raise ValueError("the value is empty")
        change = self._codec.decode(value)
        facts = facts_of(headers)
        if key != key_bytes(change.key) or facts.subject != key_text(change.key):
            raise ValueError("record key, header and value name different orders")
        said = (facts.event_id, facts.op, facts.shard, facts.ordinal, facts.version)
        source = change.source
        if said != (source.event_id, change.op, source.shard, source.ordinal, change.version):
            raise ValueError("headers and value disagree")
        return self.seen_of(change, raw, "")

    def seen_of(self, change: Change, raw: int, where: str) -> Seen:
        """A decoded change, for the judge."""
        after = self._item(change.after)
        before = self._item(change.before)
        return Seen(
            key_text(change.key),
            self._number(change.op, before, after),
            change.op,
            image_digest(after),
            image_digest(before) if change.op is not Op.READ else None,
            change.source.event_id,
            change.source.shard,
            change.source.ordinal,
            raw,
            where,
        )

    def _item(self, image: Image | None) -> dict[str, Any] | None:
        return None if image is None else self._codec.image_to_dynamodb(image)

    def _number(self, op: Op, before: dict[str, Any] | None, after: dict[str, Any] | None) -> int:
        """A delete counts one more than the item that it removes."""
        if op is Op.DELETE:
            return int(before[self._revision]["N"]) + 1 if before else 0
        return int(after[self._revision]["N"]) if after else 0
