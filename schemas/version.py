"""The version of an item's state: what consumers compare, instead of offsets or clocks.

Sequence numbers of DynamoDB Streams grow with every change of one item, within one stream; the epoch grows whenever
that comparison would not hold (a new stream ARN, a reload after a gap). So ``(epoch, sequence)`` orders all states of
one item. A row of a first load has sequence 0: it applies only where nothing of its epoch is known.
"""

from __future__ import annotations

from typing import NamedTuple

SEQUENCE_DIGITS = 40
"""Sequence numbers of AWS have 21 to 40 digits; DynamoDB's own numbers stop at 38, so stores keep them as text."""

EPOCH_DIGITS = 10


class Version(NamedTuple):
    """``(epoch, sequence)``; compares as a tuple of integers."""

    epoch: int
    sequence: int

    def to_text(self) -> str:
        """Fixed width, so that text order is version order: ``0000000001.000…0123`` (51 characters)."""
        return f"{self.epoch:0{EPOCH_DIGITS}d}.{self.sequence:0{SEQUENCE_DIGITS}d}"

    @classmethod
    def from_text(cls, text: str) -> Version:
        """The inverse of :meth:`to_text`."""
        epoch, _, sequence = text.partition(".")
        return cls(int(epoch), int(sequence))


LAST_SEQUENCE = 10**SEQUENCE_DIGITS - 1


def end_of_epoch_before(epoch: int) -> Version:
    """The last version below ``epoch``: what a sink writes for an item that the snapshot of ``epoch`` did not see.

    It is above all that is known of the item, and below every row of that epoch: a row that comes late (out of the dead
    letters) still counts.
    """
    return Version(epoch - 1, LAST_SEQUENCE)
