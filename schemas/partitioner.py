"""Which partition a key is in: ``murmur2``, as Java clients and this feed's producer (``murmur2_random``) have it.

Source: Apache Kafka, ``org.apache.kafka.common.utils.Utils.murmur2`` and ``toPositive``.
"""

from __future__ import annotations

from struct import unpack
from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def partition_of_key(key: bytes, partitions: int) -> int:
    """The partition of a key among ``partitions`` (at least 1)."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """The 32-bit hash, unsigned."""
    words, rest = len(data) // 4, data[len(data) & ~3 :]
    h = _SEED ^ len(data)
    for word in unpack(f"<{words}I", data[: 4 * words]):
        k = (word * _M) & _MASK
        k = ((k ^ (k >> 24)) * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    if rest:
        h = ((h ^ int.from_bytes(rest, "little")) * _M) & _MASK
    h = ((h ^ (h >> 13)) * _M) & _MASK
    return h ^ (h >> 15)
