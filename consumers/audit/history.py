"""The life of one item in the audit log, each of its changes with the segment that proves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from connectors.s3 import ObjectStore
from consumers.audit.reader import partitions_in
from consumers.audit.segments import Link, first_of, folder_of, read
from consumers.columns import StoredRecord, read_table, records_of
from schemas.errors import FatalError


@dataclass(frozen=True, slots=True)
class Proven:
    """A record and where it stands."""

    record: StoredRecord
    name: str
    """Name of the segment's object."""
    link: Link
    """Its place in the chain, and the hash that its successor vouches for."""


def history_of(store: ObjectStore, prefix: str, topic: str, key: bytes) -> Iterator[Proven]:
    """Every record with this key, in order; segments without it are left after a look at their keys.

    Raises:
        FatalError: a segment is gone or is none.
    """
    for partition in partitions_in(store, prefix, topic=topic):
        names = sorted(
            entry.key for entry in store.list(folder_of(prefix, partition)) if first_of(entry.key) is not None
        )
        for name in names:
            stored = store.get(name)
            if stored is None:
                raise FatalError(f"{store.url(name)} is listed and cannot be read", hint="run `feed audit verify`")
            keys = read_table(stored.body, name=name, columns=["key"]).column("key")
            mine = pc.equal(keys, pa.scalar(key, pa.binary()))
            if not pc.any(mine).as_py():
                continue
            link, _, _ = read(stored)
            rows = read_table(stored.body, name=name).filter(mine)
            for record in records_of(rows, topic=topic, partition=partition.number):
                yield Proven(record, name, link)
