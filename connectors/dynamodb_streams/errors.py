"""What DynamoDB Streams can say that a reader must act upon; all else is :func:`connectors.aws.aws_error_of`."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import aws_error_code, aws_error_of
from schemas.errors import FatalError, FeedError, RetryableError

_AGAIN = "it is handled by the reader; if it lasts, look at the shard's metrics"

_THROTTLED = frozenset({"LimitExceededException", "ProvisionedThroughputExceededException", "ThrottlingException"})


class IteratorExpiredError(RetryableError):
    """The iterator is older than 15 minutes: a new one AFTER the last read sequence number is due."""


class ShardTrimmedError(RetryableError):
    """The stream has trimmed what the iterator points at (TrimmedDataAccessException): changes are, or may be, gone."""


class ShardRefusedError(RetryableError):
    """The shard (or the stream) is not there for the service (ResourceNotFoundException); a listing tells more."""


class StreamThrottledError(RetryableError):
    """The service asks for fewer calls."""


def stream_error_of(error: ClientError | BotoCoreError, doing: str) -> FeedError:
    """An error of DynamoDB Streams as one of ours. ``doing`` completes "AWS failed while …".

    A request that is refused for a reason unknown here is retryable too: a reader that ends for good on an answer that
    was wrong for a minute is a known way to lose a day (its health is red meanwhile).
    """
    code = aws_error_code(error)
    text = f"AWS failed while {doing}: {error}"
    if code == "ExpiredIteratorException":
        return IteratorExpiredError(text, hint=_AGAIN)
    if code == "TrimmedDataAccessException":
        return ShardTrimmedError(text, hint=_AGAIN)
    if code == "ResourceNotFoundException":
        return ShardRefusedError(text, hint=_AGAIN)
    if code in _THROTTLED:
        return StreamThrottledError(text, hint="fewer readers, or a longer poll interval, use less of the quota")
    known = aws_error_of(error, doing)
    if isinstance(known, FatalError):
        return RetryableError(str(known), hint=known.hint)
    return known
