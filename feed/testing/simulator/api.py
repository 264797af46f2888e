"""The simulator behind the operations of the real API: what boto3 sends is answered as AWS answers it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from connectors.dynamodb_streams import (
    IteratorExpiredError,
    IteratorSpec,
    Shard,
    ShardRefusedError,
    ShardTrimmedError,
    StreamThrottledError,
)
from feed.testing.simulator.streams import SHARDS_PAGE, SimulatedStreams
from schemas.errors import FeedError

RECORDS_MAX = 1_000
"""Records in one answer of GetRecords at most."""

Request = Mapping[str, Any]

_CODES: Mapping[type[FeedError], str] = {
    IteratorExpiredError: "ExpiredIteratorException",
    ShardRefusedError: "ResourceNotFoundException",
    ShardTrimmedError: "TrimmedDataAccessException",
    StreamThrottledError: "LimitExceededException",
}


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status

    def body(self) -> bytes:
        """As it goes over the wire."""
        return orjson.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{self.code}", "message": str(self)})


class StreamsApi:
    """Operations of DynamoDB Streams, and DescribeTable. Safe to call from any thread."""

    def __init__(self, streams: SimulatedStreams) -> None:
        self.streams = streams
        self.lock = threading.Lock()
        """The simulator has no locks of its own: hold this one to change it while it is served."""
        self.calls: dict[str, int] = {}
        """How often each operation was called."""
        self._operations: dict[str, Callable[[Request], Mapping[str, Any]]] = {
            "DescribeTable": self._describe_table,
            "ListStreams": self._list_streams,
            "DescribeStream": self._describe_stream,
            "GetShardIterator": self._get_shard_iterator,
            "GetRecords": self._get_records,
        }

    def answer(self, operation: str, request: bytes) -> bytes:
        """The body of the answer. Raises ApiError."""
        run = self._operations.get(operation)
        if run is None:
            raise ApiError("UnknownOperationException", f"{operation} is not simulated")
        with self.lock:
            self.calls[operation] = self.calls.get(operation, 0) + 1
            try:
                return orjson.dumps(run(orjson.loads(request)))
            except FeedError as error:
                code = _CODES.get(type(error))
                if code is None:
                    raise ApiError("InternalServerError", str(error), status=500) from error
                raise ApiError(code, str(error)) from error
            except (KeyError, ValueError, TypeError) as error:
                raise ApiError("ValidationException", f"the request cannot be read: {error!r}") from error

    def _describe_table(self, request: Request) -> Mapping[str, Any]:
        if request["TableName"] != self.streams.table:
            raise ShardRefusedError("simulated: no such table", hint="simulated")
        status = self.streams.status(self.streams.table)
        view = {"StreamViewType": "NEW_AND_OLD_IMAGES"} if status.enabled else {}
        specification = {"StreamEnabled": status.enabled, **view}
        table = {"TableName": self.streams.table, "TableStatus": "ACTIVE", "StreamSpecification": specification}
        return {"Table": {**table, "LatestStreamArn": status.arn, "LatestStreamLabel": _label(status.arn)}}

    def _list_streams(self, request: Request) -> Mapping[str, Any]:
        table = self.streams.table
        known = self.streams.arns() if request.get("TableName", table) == table else []
        return {"Streams": [{"StreamArn": arn, "TableName": table, "StreamLabel": _label(arn)} for arn in known]}

    def _describe_stream(self, request: Request) -> Mapping[str, Any]:
        arn = request["StreamArn"]
        kind = request.get("ShardFilter", {"Type": "CHILD_SHARDS", "ShardId": ""})
        limit = min(SHARDS_PAGE, request.get("Limit", SHARDS_PAGE))
        found, more = self.streams.describe(arn, request.get("ExclusiveStartShardId", ""), limit, kind["ShardId"])
        enabled = arn == self.streams.arns()[-1] and self.streams.enabled
        described = {
            "StreamArn": arn,
            "StreamLabel": _label(arn),
            "StreamStatus": "ENABLED" if enabled else "DISABLED",
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            "TableName": self.streams.table,
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "Shards": [_shard(shard) for shard in found],
        }
        return {"StreamDescription": {**described, **({"LastEvaluatedShardId": more} if more else {})}}

    def _get_shard_iterator(self, request: Request) -> Mapping[str, Any]:
        arn, shard, kind = request["StreamArn"], request["ShardId"], request["ShardIteratorType"]
        if kind == "TRIM_HORIZON":
            return {"ShardIterator": self.streams.iterator(arn, shard, IteratorSpec("TRIM_HORIZON"))}
        if kind == "LATEST":
            newest = IteratorSpec("AFTER_SEQUENCE_NUMBER", self.streams.newest)
            return {"ShardIterator": self.streams.iterator(arn, shard, newest)}
        number = int(request["SequenceNumber"]) - (kind == "AT_SEQUENCE_NUMBER")
        return {"ShardIterator": self.streams.iterator(arn, shard, IteratorSpec("AFTER_SEQUENCE_NUMBER", number))}

    def _get_records(self, request: Request) -> Mapping[str, Any]:
        limit = request.get("Limit", RECORDS_MAX)
        if not 1 <= limit <= RECORDS_MAX:
            raise ApiError("ValidationException", f"Limit {limit} is not between 1 and {RECORDS_MAX}")
        page = self.streams.records(request["ShardIterator"], limit)
        more = {"NextShardIterator": page.next_token} if page.next_token is not None else {}
        return {"Records": page.records, **more}


def _label(arn: str) -> str:
    return arn.rpartition("/")[2]


def _shard(shard: Shard) -> dict[str, Any]:
    numbers = {"StartingSequenceNumber": str(shard.first).zfill(21)}
    if shard.last is not None:
        numbers["EndingSequenceNumber"] = str(shard.last).zfill(21)
    parent = {"ParentShardId": shard.parent} if shard.parent else {}
    return {"ShardId": shard.id, **parent, "SequenceNumberRange": numbers}
