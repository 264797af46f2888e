"""The stream producer: every change of a DynamoDB stream, once and in order, into the feed's topic.

Promises: a position is saved only in the transaction that carries what it covers; a child shard starts after its parent
is finished; one writer for a shard; what the stream lost becomes a gap event; what cannot be translated is kept whole.
"""

from producers.stream.filter import needed_but_omitted
from producers.stream.filter_settings import Condition, FilterSettings
from producers.stream.metrics import Families
from producers.stream.ports import Clock
from producers.stream.positions_topic import PositionsTopic, find_positions
from producers.stream.resize import Resize, Resized
from producers.stream.settings import ProducerSettings
from producers.stream.translate import FeedSource
from producers.stream.worker import Worker

__all__ = [
    "Clock",
    "Condition",
    "Families",
    "FeedSource",
    "FilterSettings",
    "PositionsTopic",
    "ProducerSettings",
    "Resize",
    "Resized",
    "Worker",
    "find_positions",
    "needed_but_omitted",
]
