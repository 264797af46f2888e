"""What one reader saw: a digest of each partition's records in their order, and every record's number once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from mirrormaker.audit import fingerprint

NUMBER = "number"
PRODUCED = "produced-ns"


class Chains:
    """Digests by partition; equal digests mean equal records in equal order."""

    def __init__(self) -> None:
        self._digests: dict[int, Any] = {}
        self._counts: dict[int, int] = {}
        self._seen: set[int] = set()
        self.total = 0
        self.repeated = 0

    def add(self, partition: int, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> int:
        """One more record of its partition; returns when it was produced, in nanoseconds."""
        digest = self._digests.setdefault(partition, hashlib.blake2b(digest_size=16))
        digest.update(fingerprint(key, value, headers))
        self._counts[partition] = self._counts.get(partition, 0) + 1
        known = dict(headers)
        number = int(known[NUMBER])
        self.repeated += number in self._seen
        self._seen.add(number)
        self.total += 1
        return int(known[PRODUCED])

    def summary(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "total": self.total,
            "repeated": self.repeated,
            "partitions": {
                str(number): [self._counts[number], self._digests[number].hexdigest()]
                for number in sorted(self._digests)
            },
        }
