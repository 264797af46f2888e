"""DynamoDB Streams: the shard graph as values, the rules for iterators and polling, and the client.

Promises: a listing says whether it is complete, and only complete ones prove absence; an iterator is never AT or
LATEST; errors that mean something to a reader (expired, trimmed, refused) have a class of their own; GetRecords is
parsed by a JSON parser, equal to botocore's answer in all but the type of the creation time.
"""

from connectors.dynamodb_streams.budget import DESCRIBE_LIMIT_PER_SECOND, CallBudget
from connectors.dynamodb_streams.client import StreamClient, StreamStatus
from connectors.dynamodb_streams.errors import (
    IteratorExpiredError,
    ShardRefusedError,
    ShardTrimmedError,
    StreamThrottledError,
)
from connectors.dynamodb_streams.graph import Listing, Shard, Sightings, absent_parents, observe
from connectors.dynamodb_streams.iterators import IteratorSpec, first_iterator, latest_cut_ms, latest_start
from connectors.dynamodb_streams.polling import Pace, PollPolicy, after_error, after_page
from connectors.dynamodb_streams.records import Page, StreamRecord

__all__ = [
    "DESCRIBE_LIMIT_PER_SECOND",
    "CallBudget",
    "IteratorExpiredError",
    "IteratorSpec",
    "Listing",
    "Pace",
    "Page",
    "PollPolicy",
    "Shard",
    "ShardRefusedError",
    "ShardTrimmedError",
    "Sightings",
    "StreamClient",
    "StreamRecord",
    "StreamStatus",
    "StreamThrottledError",
    "absent_parents",
    "after_error",
    "after_page",
    "first_iterator",
    "latest_cut_ms",
    "latest_start",
    "observe",
]
