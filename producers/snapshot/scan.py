"""The table, a page of a segment at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import aws_error_of

Item = Mapping[str, Any]
"""DynamoDB JSON, binary as bytes."""


@dataclass(frozen=True, slots=True)
class ScanPage:
    """What one request brought."""

    items: tuple[Item, ...]
    after: Item | None
    """Where the next page begins; None: the segment ends here. A page may be empty and still not be the last."""
    units: float
    """Read units that it cost."""


class Table(Protocol):
    """A table that can be scanned."""

    def page(self, segment: int, segments: int, after: Item | None, limit: int) -> ScanPage:
        """The page behind ``after``. Raises RetryableError; FatalError when the table can never be scanned so."""
        ...


class DynamoDbTable:
    """A table of DynamoDB. Safe to call from several threads."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self.name = client, name

    def page(self, segment: int, segments: int, after: Item | None, limit: int) -> ScanPage:
        """See :class:`Table`.

        Strongly consistent, though it costs twice: an eventually consistent page may lack a write that the stream has
        already told of under the former epoch, and its row, under the new one, would overwrite that write for good.
        Source: API reference of Scan, ``ConsistentRead``: all writes completed before the Scan began are in the answer.
        """
        request: dict[str, Any] = {
            "TableName": self.name,
            "Segment": segment,
            "TotalSegments": segments,
            "Limit": limit,
            "ConsistentRead": True,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if after is not None:
            request["ExclusiveStartKey"] = after
        try:
            answer = self._client.scan(**request)
        except (ClientError, BotoCoreError) as error:
            raise aws_error_of(error, f"scanning table {self.name}") from error
        units = float(answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0))
        return ScanPage(tuple(answer["Items"]), answer.get("LastEvaluatedKey"), units)

    def estimate(self) -> int:
        """About how many items there are: DynamoDB counts every six hours. 0 when it does not say."""
        try:
            return int(self._client.describe_table(TableName=self.name)["Table"].get("ItemCount", 0))
        except (ClientError, BotoCoreError):
            return 0
