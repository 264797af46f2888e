"""The calls of DynamoDB Streams that a reader needs, with their errors as ours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import AwsClients
from connectors.dynamodb_streams.errors import ShardRefusedError, stream_error_of
from connectors.dynamodb_streams.graph import Listing, Shard
from connectors.dynamodb_streams.iterators import IteratorSpec
from connectors.dynamodb_streams.records import Page, parse_instead
from schemas.errors import ConfigError, RetryableError

PAGES_MAX = 10_000
"""Pages of one listing: a million shards, far beyond any table; a bound all the same."""

SEQUENCE_MIN_DIGITS = 21
"""Shortest sequence number that the API takes; DynamoDB Local counts from 1 and pads with zeros."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """The stream that a table has now."""

    arn: str
    enabled: bool
    """False: no new records come; what is there can be read for 24 hours."""


class StreamClient:
    """DynamoDB Streams of one region. Safe to call from any thread.

    ``before_describe`` runs before each DescribeStream call, each page of a listing being one: it may wait
    (:class:`connectors.dynamodb_streams.budget.CallBudget`).
    """

    def __init__(
        self, clients: AwsClients, *, now_ms: Callable[[], int], before_describe: Callable[[], None] = lambda: None
    ) -> None:
        self._now_ms, self._before_describe = now_ms, before_describe
        self._tables = clients.client("dynamodb")
        self._streams = clients.client("dynamodbstreams")
        # registering again under the same id is a no-op: the client is shared
        self._streams.meta.events.register(
            "before-parse.dynamodb-streams.GetRecords", parse_instead, unique_id="feed-fast-records"
        )

    def status(self, table: str) -> StreamStatus:
        """The table's newest stream.

        Raises:
            ConfigError: there is no such table, it never had a stream, or the stream lacks an image.
            RetryableError: the call may work later.
        """
        try:
            described = self._tables.describe_table(TableName=table)["Table"]
        except (ClientError, BotoCoreError) as error:
            known = stream_error_of(error, f"describing table {table}")
            if isinstance(known, ShardRefusedError):
                raise ConfigError(
                    f"there is no table {table} in this region", hint="check table.name and the region in feed.yaml"
                ) from error
            raise known from error
        arn, specification = described.get("LatestStreamArn"), described.get("StreamSpecification", {})
        if not arn:
            raise ConfigError(
                f"table {table} has no stream",
                hint="enable it: aws dynamodb update-table --stream-specification "
                "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES",
            )
        view = specification.get("StreamViewType")
        if specification.get("StreamEnabled") and view != "NEW_AND_OLD_IMAGES":
            raise ConfigError(
                f"the stream of table {table} has the view {view}",
                hint="the feed needs both images: disable the stream and enable it as NEW_AND_OLD_IMAGES",
            )
        return StreamStatus(arn, bool(specification.get("StreamEnabled")))

    def list_shards(self, stream: str) -> Listing:
        """Every page of DescribeStream. A page that fails makes the listing incomplete; the first one's failure raises.

        A stream that does not exist any more is a complete listing of nothing.
        """
        at_ms = self._now_ms()
        shards: dict[str, Shard] = {}
        cursor: str | None = None
        seen: set[str] = set()
        for _ in range(PAGES_MAX):
            try:
                described = self._describe(stream, cursor)
            except ShardRefusedError:
                return Listing(stream, shards, complete=cursor is None, at_ms=at_ms)
            except RetryableError as error:
                if not shards:
                    raise
                _log.warning("shard listing incomplete stream=%s shards=%d error=%s", stream, len(shards), error)
                return Listing(stream, shards, complete=False, at_ms=at_ms)
            for shard in described["Shards"]:
                shards[shard["ShardId"]] = shard_of(shard)
            cursor = described.get("LastEvaluatedShardId")
            if cursor is None:
                return Listing(stream, shards, complete=True, at_ms=at_ms)
            if cursor in seen:
                break
            seen.add(cursor)
        _log.error("shard listing repeats cursor=%s stream=%s shards=%d", cursor, stream, len(shards))
        return Listing(stream, shards, complete=False, at_ms=at_ms)

    def children(self, stream: str, shard: str) -> Listing:
        """The children of a shard that ended, by one call: never complete, empty where the server ignores the filter.

        DynamoDB Local returns the shard itself, or all of them: children are known by their parent only.
        """
        self._before_describe()
        at_ms = self._now_ms()
        try:
            described = self._streams.describe_stream(
                StreamArn=stream, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": shard}
            )["StreamDescription"]
        except (ClientError, BotoCoreError) as error:
            raise stream_error_of(error, f"listing the children of {shard}") from error
        found = {
            child["ShardId"]: shard_of(child) for child in described["Shards"] if child.get("ParentShardId") == shard
        }
        return Listing(stream, found, complete=False, at_ms=at_ms)

    def iterator(self, stream: str, shard: str, spec: IteratorSpec) -> str:
        """A new iterator; it lives 15 minutes.

        Raises:
            ShardTrimmedError, ShardRefusedError, StreamThrottledError, RetryableError: see each.
        """
        after = {} if spec.sequence is None else {"SequenceNumber": str(spec.sequence).zfill(SEQUENCE_MIN_DIGITS)}
        try:
            answer = self._streams.get_shard_iterator(
                StreamArn=stream, ShardId=shard, ShardIteratorType=spec.kind, **after
            )
        except (ClientError, BotoCoreError) as error:
            raise stream_error_of(error, f"asking for an iterator of {shard}") from error
        return str(answer["ShardIterator"])

    def records(self, token: str, limit: int) -> Page:
        """One page.

        Raises:
            IteratorExpiredError, ShardTrimmedError, ShardRefusedError, StreamThrottledError, RetryableError: see each.
        """
        try:
            answer = self._streams.get_records(ShardIterator=token, Limit=limit)
        except (ClientError, BotoCoreError) as error:
            raise stream_error_of(error, "reading records") from error
        return Page(answer.get("Records", []), answer.get("NextShardIterator"), answer.get("BodyBytes", 0))

    def _describe(self, stream: str, cursor: str | None) -> dict[str, Any]:
        after = {} if cursor is None else {"ExclusiveStartShardId": cursor}
        self._before_describe()
        try:
            answer: dict[str, Any] = self._streams.describe_stream(StreamArn=stream, **after)["StreamDescription"]
        except (ClientError, BotoCoreError) as error:
            raise stream_error_of(error, f"listing the shards of {stream}") from error
        return answer


def shard_of(described: dict[str, Any]) -> Shard:
    """A shard of a DescribeStream answer."""
    numbers = described.get("SequenceNumberRange", {})
    first, last = (numbers.get(name) for name in ("StartingSequenceNumber", "EndingSequenceNumber"))
    return Shard(
        described["ShardId"],
        described.get("ParentShardId", ""),
        closed=last is not None,
        first=None if first is None else int(first),
        last=None if last is None else int(last),
    )
