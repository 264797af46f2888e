"""The anchor: number and hash of the last digest, kept where the bucket's administrator has no say.

One item for each topic, in a table of another account. It only moves forward, by conditional writes, so neither a cut
tail nor a second history can be told to whoever reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from connectors.dynamodb import EffectTable, Update
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError

KEY_ATTRIBUTE: Final = "log"
"""The anchor table's partition key."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """What an anchor says."""

    number: int
    sha256: str


class Anchor(Protocol):
    """Where the last digest is noted."""

    def read(self, partition: Partition) -> Anchored | None:
        """What is noted for the partition's topic; None when nothing is."""
        ...

    def advance(self, partition: Partition, to: Anchored) -> None:
        """Note a digest that follows what is noted.

        Raises:
            FatalError: what is noted is not the digest before.
        """
        ...


class TableAnchor:
    """An anchor in a DynamoDB table."""

    def __init__(self, table: EffectTable) -> None:
        self._table = table

    def read(self, partition: Partition) -> Anchored | None:
        """What is noted, read consistently."""
        item = self._table.get(_key_of(partition), consistent=True)
        return Anchored(int(item["digest"]["N"]), str(item["sha256"]["S"])) if item else None

    def advance(self, partition: Partition, to: Anchored) -> None:
        """Move forward by one, or stay where this very digest is noted already."""
        refused = self._table.update_if(
            _key_of(partition),
            Update(
                set_expression="SET #digest = :number, #sha256 = :sha256",
                condition="(attribute_not_exists(#digest) AND :number = :zero) OR #digest = :before "
                "OR (#digest = :number AND #sha256 = :sha256)",
                names={"#digest": "digest", "#sha256": "sha256"},
                values={
                    ":number": {"N": str(to.number)},
                    ":before": {"N": str(to.number - 1)},
                    ":zero": {"N": "0"},
                    ":sha256": {"S": to.sha256},
                },
            ),
        )
        if refused is not None:
            raise FatalError(
                f"the anchor of {partition.topic} does not stand at the digest before number {to.number}",
                hint="digests were cut off or written twice: run `feed audit verify` before anything else",
            )


def _key_of(partition: Partition) -> dict[str, dict[str, str]]:
    return {KEY_ATTRIBUTE: {"S": f"{partition.topic}/{partition.cluster_id}/{partition.topic_id}"}}
