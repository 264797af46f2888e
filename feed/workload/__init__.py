"""An order service: the load of the demo and of the tests, and the one place that knows what should have arrived.

What it promises:

* The plan is pure: the same seed gives the same orders, in the same order, due at the same times
  (:mod:`feed.workload.plan`).
* Writes of one order go strictly one after another, each under the condition that the one before it stands
  (optimistic locking, as an order service does it), so that a write whose answer got lost can be told from one that
  failed.
* The loop is open: a write is due when the plan says so. A slower table shows as lateness and as a lower achieved rate,
  never as a quietly slower plan.
* The ledger (:mod:`feed.workload.ledger`) holds what the table acknowledged, and nothing that the system under test
  said.
"""

from feed.workload.digest import image_digest
from feed.workload.ledger import Entry, Ledger, LedgerReader, Outcome
from feed.workload.plan import Step, plan_lane
from feed.workload.settings import WorkloadSettings

__all__ = ["Entry", "Ledger", "LedgerReader", "Outcome", "Step", "WorkloadSettings", "image_digest", "plan_lane"]
