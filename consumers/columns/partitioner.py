"""Which partition a key is in, for who searches stored records by key."""

from __future__ import annotations

from schemas.partitioner import murmur2, partition_of_key

__all__ = ["murmur2", "partition_of_key"]
