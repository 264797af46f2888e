"""When a partition pauses and when it goes on: two marks, so that it never flips to and fro."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """What a partition holds in memory right now."""

    records: int = 0
    """Records taken and not yet done (waiting, in flight or behind a parked key)."""
    payload_bytes: int = 0
    """Their keys and values."""
    parked_keys: int = 0
    span: int = 0
    """Offsets that would be read again after a crash."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The high marks, each for one partition; the low ones are half of them."""

    records: int
    payload_bytes: int
    parked_keys: int
    span: int

    def past(self, load: Load) -> str | None:
        """The first limit that ``load`` has reached, in words; None when it is below all of them."""
        for name, value, limit in self._pairs(load):
            if value >= limit:
                return f"{name} {value} ≥ {limit}"
        return None

    def relaxed(self, load: Load) -> bool:
        """True when ``load`` is at or below half of every limit."""
        return all(2 * value <= limit for _, value, limit in self._pairs(load))

    def _pairs(self, load: Load) -> tuple[tuple[str, int, int], ...]:
        return (
            ("records", load.records, self.records),
            ("payload_bytes", load.payload_bytes, self.payload_bytes),
            ("parked_keys", load.parked_keys, self.parked_keys),
            ("span", load.span, self.span),
        )
