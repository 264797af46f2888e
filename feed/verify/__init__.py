"""Verify: is everything that was written there, once, in order, unaltered, the same in every region and in every sink?

What it promises:

* It believes only the ledger that the workload kept, and what the places themselves hold; never a metric, offset or
  log of the system under test.
* Without a ledger it judges by ordinals and lineage, which any region, topic or store proves by itself.
* The judging is pure and streamed; memory is bounded as :mod:`feed.verify.expected` and :mod:`feed.verify.judge` state.
* A place that cannot be read is a fault, not a blank.
"""

from feed.verify.difference import Difference, DifferenceFinding
from feed.verify.evidence import Evidence, Place, Seen, UnreadableRecord, every_change, last_change
from feed.verify.expected import Expected, expect
from feed.verify.judge import Faults, Finding, Judge
from feed.verify.lineage import Lineage, LineageFinding
from feed.verify.verdict import Verdict

__all__ = [
    "Difference",
    "DifferenceFinding",
    "Evidence",
    "Expected",
    "Faults",
    "Finding",
    "Judge",
    "Lineage",
    "LineageFinding",
    "Place",
    "Seen",
    "UnreadableRecord",
    "Verdict",
    "every_change",
    "expect",
    "last_change",
]
