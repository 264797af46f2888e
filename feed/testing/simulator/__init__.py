"""A simulator of DynamoDB Streams and of the little of Kafka that slots use; deterministic, on a clock that is moved.

What it has of the stream: rotation and splits, open parents with children, children that are listed late, empty and
short pages, trimming after 24 hours, shards that leave the listing and are refused, iterators that expire, throttles
and server errors, partial listings, times cut to the second, suppressed no-op writes, deletes by time-to-live, a
stream that is disabled and enabled again under a new ARN.

What it has of Kafka: transactions with fencing and time-outs, readers of committed records, the last stable offset, a
group whose members are noticed as dead only after their session.

:class:`StreamsServer` serves the simulated stream over HTTP, so that boto3 and our own client can be used unchanged.
"""

from feed.testing.simulator.api import ApiError, StreamsApi
from feed.testing.simulator.clock import SimulatedClock
from feed.testing.simulator.faults import CrashedError, Faults
from feed.testing.simulator.http import StreamsServer, WallClock
from feed.testing.simulator.kafka import SimulatedGroup, SimulatedKafka
from feed.testing.simulator.streams import SimulatedStreams, StreamRates, item_of

__all__ = [
    "ApiError",
    "CrashedError",
    "Faults",
    "SimulatedClock",
    "SimulatedGroup",
    "SimulatedKafka",
    "SimulatedStreams",
    "StreamRates",
    "StreamsApi",
    "StreamsServer",
    "WallClock",
    "item_of",
]
