"""The stream producer: every change of a DynamoDB stream, once and in order, into the feed's topic.

Promises: a position is saved only in the transaction that carries what it covers; a child shard starts after its parent
is finished; one writer for a shard; what the stream lost becomes a gap event; what cannot be translated is kept whole.
"""

from producers.stream.ports import Clock
from producers.stream.settings import ProducerSettings
from producers.stream.translate import FeedSource
from producers.stream.worker import Worker

__all__ = ["Clock", "FeedSource", "ProducerSettings", "Worker"]
