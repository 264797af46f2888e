"""A segment: some consecutive records of a partition, and the hash of the segment before it. Pure.

The chain's link is the SHA-256 of a segment's whole file, written into the file that follows it. So hashing costs a
memory read for each byte, whatever the number of records, and nothing inside a file (records, order, count, its own
link backwards) can change without breaking every later link.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from connectors.s3 import StoredObject
from consumers.columns import FileFacts, read_facts, write_file
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError

KIND: Final = "audit-segment"
SUFFIX: Final = ".parquet"


@dataclass(frozen=True, slots=True)
class Link:
    """A segment as its successor names it: the head of the chain while it has none."""

    number: int
    """Position in the chain, from 0."""
    first: int
    """Offset of its first record."""
    last: int
    """Offset of its last record."""
    sha256: str
    """Of the whole file, in hexadecimal."""
    size: int
    """Of the whole file, bytes: what lies behind it was appended later."""


def folder_of(prefix: str, partition: Partition) -> str:
    """Where a partition's chain lives: by identities, so that a topic made anew starts a chain of its own."""
    return f"{prefix}/{partition.topic}/{partition.cluster_id}/{partition.topic_id}/p{partition.number:05d}/"


def name_of(folder: str, first: int) -> str:
    """A segment's name: text order is offset order, and two writers of the same records meet at the same name."""
    return f"{folder}{first:020d}{SUFFIX}"


def first_of(name: str) -> int | None:
    """The offset in a segment's name, None when it is not such a name."""
    stem = name.rpartition("/")[2].removesuffix(SUFFIX)
    return int(stem) if stem.isdigit() and len(stem) == 20 and name.endswith(SUFFIX) else None


def build(partition: Partition, head: Link | None, records: pa.Table) -> tuple[bytes, Link]:
    """The file that continues the chain after ``head`` with ``records``, and its link."""
    offsets = records.column("offset")
    number, first, last = head.number + 1 if head else 0, offsets[0].as_py(), offsets[-1].as_py()
    facts = FileFacts(
        cluster_id=partition.cluster_id,
        topic_id=partition.topic_id,
        topic=partition.topic,
        partition=partition.number,
        first=first,
        last=last,
        count=records.num_rows,
        more={"kind": KIND, "number": number, "previous": _to_json(head)},
    )
    body = write_file(records, facts)
    return body, Link(number, first, last, hashlib.sha256(body).hexdigest(), len(body))


def metadata_of(link: Link, head: Link | None, count: int) -> dict[str, str]:
    """The object's metadata: for people and listings; the chain itself trusts only files."""
    return {
        "number": str(link.number),
        "first": str(link.first),
        "last": str(link.last),
        "count": str(count),
        "sha256": link.sha256,
        "previous-sha256": head.sha256 if head else "",
    }


def read(stored: StoredObject) -> tuple[Link, Link | None, FileFacts]:
    """A stored segment's link, the link it names as its predecessor, and its facts.

    Raises:
        FatalError: the object is no segment.
    """
    facts = read_facts(stored.body, name=stored.head.key)
    return (*links_of(stored, facts), facts)


def links_of(stored: StoredObject, facts: FileFacts) -> tuple[Link, Link | None]:
    """A stored segment's link and the one it names as its predecessor, by its facts.

    Raises:
        FatalError: the object is no segment.
    """
    if facts.more.get("kind") != KIND:
        raise FatalError(f"{stored.head.key} is no audit segment", hint="something else writes to the audit bucket")
    link = Link(
        number=facts.more["number"],
        first=facts.first,
        last=facts.last,
        sha256=hashlib.sha256(stored.body).hexdigest(),
        size=len(stored.body),
    )
    return link, _from_json(facts.more["previous"])


def _to_json(link: Link | None) -> dict[str, Any] | None:
    if link is None:
        return None
    return {name: getattr(link, name) for name in ("number", "first", "last", "sha256", "size")}


def _from_json(entry: dict[str, Any] | None) -> Link | None:
    return Link(**entry) if entry is not None else None
