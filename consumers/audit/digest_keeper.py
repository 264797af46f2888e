"""When digests are due: driven by the writer of partition 0, beside its uploads."""

from __future__ import annotations

import logging
from concurrent.futures import Executor

from consumers.audit.digest_log import DigestLog
from consumers.audit.digests import SignedDigest
from consumers.uploads import Upload

log = logging.getLogger(__name__)


class DigestKeeper:
    """Keeps the digests of one topic while partition 0 is assigned; all calls on the writer's thread."""

    def __init__(self, digests: DigestLog, executor: Executor, interval_ms: int) -> None:
        self._digests = digests
        self._executor = executor
        self._interval_ms = interval_ms
        self._last: SignedDigest | None = None
        self._upload: Upload[SignedDigest] | None = None
        self._taken_ms = 0
        """When the last digest was written, or taken up, by this process's clock."""

    def tick(self, now_ms: int) -> None:
        """Write the next digest when it is due.

        Raises:
            FatalError: the bucket or the anchor holds another history.
        """
        if self._upload is not None:
            done = self._upload.poll(now_ms)
            if done is None:
                return
            (self._last,), self._upload, self._taken_ms = done, None, now_ms
        if self._last is None:
            self._upload = Upload(self._executor, self._begin)
        # a clock that was ahead when the last one was written must not silence the digests until ours has come so far
        elif now_ms - min(self._last.digest.to_ms, self._taken_ms) >= self._interval_ms:
            last = self._last
            self._upload = Upload(self._executor, lambda: self._digests.write_next(last))

    def _begin(self) -> SignedDigest:
        """Take up the last digest of whoever had partition 0 before; the very first is written at once."""
        return self._digests.last() or self._digests.write_next(None)
