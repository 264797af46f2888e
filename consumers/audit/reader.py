"""Reading the audit log back: which partitions it has, and their records."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.s3 import ObjectStore
from consumers.audit.segments import first_of, folder_of, name_of
from consumers.columns import StoredRecord, read_facts, read_table, records_of
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError


def partition_of(folder: str, prefix: str) -> Partition | None:
    """The partition whose chain lives in ``folder``, None when it is not such a folder. Inverse of ``folder_of``."""
    parts = folder.removeprefix(f"{prefix}/").rstrip("/").split("/")
    if len(parts) != 4 or not parts[3].startswith("p") or not parts[3][1:].isdigit():
        return None
    topic, cluster_id, topic_id, number = parts
    return Partition(cluster_id, topic_id, topic, int(number[1:]))


def partitions_in(store: ObjectStore, prefix: str, *, topic: str = "") -> list[Partition]:
    """Every partition that has a chain under ``prefix`` (of one topic, if given), in order, hidden ones among them.

    Lists folders only.
    """
    folders = [f"{prefix}/{topic}/"] if topic else list(store.version_folders(f"{prefix}/"))
    for _level in ("cluster", "topic id", "partition"):
        folders = [below for folder in folders for below in store.version_folders(folder)]
    found = [partition for folder in folders if (partition := partition_of(folder, prefix)) is not None]
    return sorted(found, key=lambda at: (at.topic, at.cluster_id, at.topic_id, at.number))


def read_chain(
    store: ObjectStore, prefix: str, partition: Partition, *, first: int = 0, last: int | None = None
) -> Iterator[StoredRecord]:
    """The records of a partition's chain with offsets from ``first`` to ``last`` (None: to its end), in order.

    Nothing is verified on the way: see :func:`consumers.audit.verify.verify_chain`.

    Raises:
        FatalError: an object in the chain is missing or is no segment.
    """
    folder = folder_of(prefix, partition)
    names = sorted(name for entry in store.list(folder) if (name := first_of(entry.key)) is not None)
    for position, start in enumerate(names):
        follower = names[position + 1] if position + 1 < len(names) else None
        if (follower is not None and follower <= first) or (last is not None and start > last):
            continue
        stored = store.get(name_of(folder, start))
        if stored is None:
            raise FatalError(f"{name_of(folder, start)} is listed and cannot be read", hint="run `feed audit verify`")
        topic = read_facts(stored.body, name=stored.head.key).topic
        table = read_table(stored.body, name=stored.head.key)
        for record in records_of(table, topic=topic, partition=partition.number):
            if record.offset() >= first and (last is None or record.offset() <= last):
                yield record
