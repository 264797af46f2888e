"""What came of a campaign, for people and for its exit code."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.faults.mirrormaker.delays import Delays, Window, quantile

WARM_S = 5.0


@dataclass(frozen=True)
class AuditRun:
    """What `feed mirror audit` said in the end, and what it cost."""

    matched: int
    differences: dict[str, int]
    cpu_share: float


@dataclass
class Report:
    """What came of it."""

    produced: dict[str, Any]
    read: dict[str, dict[str, Any]]
    windows: list[Window]
    delays: dict[str, Delays]
    loads: list[float]
    began: float
    emptied: bool
    audit: AuditRun | None = None

    @property
    def identical(self) -> bool:
        """Every region has what eu committed, partition by partition in order, none twice, and no reader failed."""
        return all(
            one["partitions"] == self.produced["partitions"] and not one["repeated"] and not one["errors"]
            for one in self.read.values()
        )

    def text(self) -> str:
        """For people."""
        partitions = len(self.produced["partitions"])
        lines = [f"{self.produced['total']} records in {partitions} partitions, {len(self.windows)} faults"]
        lines += [
            f"{region}: {one['total']} read, {one['repeated']} repeated, errors {one['errors']}"
            for region, one in self.read.items()
        ]
        lines.append(f"identical partition by partition: {self.identical}")
        lines.append(f"the target's records had expired before the copy came back: {self.emptied}")
        for window in self.windows:
            after = self.delays[window.region].caught_up_after(window.ends)
            lasted = window.ends - window.begins
            lines.append(f"{window.what} {window.region}: lasted {lasted:.1f} s, caught up {after:.1f} s after it")
        recovered = self._with_recovery()
        for region, delays in self.delays.items():
            calm = delays.outside(recovered, self.began + WARM_S)
            own = [window for window in recovered if window.region in (region, "all")]
            alone = delays.outside(own, self.began + WARM_S)
            shown = "  ".join(f"p{share * 100:g} {quantile(calm, share) * 1000:.0f}" for share in (0.5, 0.9, 0.99, 1))
            lines.append(
                f"{region}: produced to readable, outside every fault: {shown} ms ({len(calm)} records); "
                f"outside its own: p99 {quantile(alone, 0.99) * 1000:.0f} ms"
            )
        if self.audit is not None:
            found = self.audit.differences
            lines.append(
                f"copy audit beside it: {self.audit.matched} copies equal to their originals, differences "
                f"{found or 'none'}, {self.audit.cpu_share * 100:.1f} % of a core for both flows"
            )
        loads = f"load of the machine: least {min(self.loads)}, median {median(self.loads)}, most {max(self.loads)}"
        return "\n".join([*lines, loads])

    def _with_recovery(self) -> list[Window]:
        return [
            Window(one.what, one.region, one.begins, one.ends + self.delays[one.region].caught_up_after(one.ends))
            for one in self.windows
        ]

    @property
    def slowest_recovery_s(self) -> float:
        """The longest time from the end of a fault until its region had caught up."""
        return max(self.delays[one.region].caught_up_after(one.ends) for one in self.windows)
