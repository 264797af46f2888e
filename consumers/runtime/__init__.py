"""The runtime of every consumer: it loses nothing, keeps order within a key, retries for ever and hides nothing.

Promises: only the contiguous prefix of a partition whose effects are durable is committed; a record that can never work
is kept whole in ``<group>.dead-letter``; everything held is bounded; health means progress. A sink is a small class
(:mod:`consumers.runtime.contracts`) with no Kafka in it.
"""

from consumers.runtime.build import consumer
from consumers.runtime.consumer import Consumer
from consumers.runtime.contracts import BatchSink, Partition, PartitionWriter, Record, RecordSink, SelectiveSink
from consumers.runtime.kafka import KafkaBroker
from consumers.runtime.memory import MemoryBroker
from consumers.runtime.metrics import ConsumerMetrics
from consumers.runtime.reaction import time_of
from consumers.runtime.replay_side import ReplaySide
from consumers.runtime.settings import RuntimeSettings
from consumers.runtime.start import BY_REPLAY

__all__ = [
    "BY_REPLAY",
    "BatchSink",
    "Consumer",
    "ConsumerMetrics",
    "KafkaBroker",
    "MemoryBroker",
    "Partition",
    "PartitionWriter",
    "Record",
    "RecordSink",
    "ReplaySide",
    "RuntimeSettings",
    "SelectiveSink",
    "consumer",
    "time_of",
]
