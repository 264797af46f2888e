"""How a consumer's process treats memory: what a backlog would leave behind is given back, or never taken."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Final

COLLECTOR_THRESHOLDS: Final = (100_000, 20, 100)
"""Containers made before Python's collector of cycles looks at them (700 by default), and its older generations."""

_M_ARENA_MAX: Final = -8
"""glibc's ``mallopt(3)``: how many heaps threads may have of their own."""


def settle_memory() -> None:
    """Called once, before the first record.

    A record's headers are a dozen tuples without cycles: looking at them took a quarter of a backlog's CPU. And each of
    glibc's heaps keeps what its threads once had: one for all is 10 MB less at the same speed, since Arrow and
    librdkafka ask for few, large pieces. (What Arrow takes is in :mod:`consumers`.)
    """
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, 1)
