"""What every slot of a worker is given."""

from __future__ import annotations

from dataclasses import dataclass

from producers.stream.filter import Filter
from producers.stream.metrics import Metrics
from producers.stream.ports import Clock, Pool, Stream
from producers.stream.settings import ProducerSettings
from producers.stream.translate import Codec, FeedSource
from producers.stream.view import View


@dataclass(frozen=True, slots=True)
class Environment:
    """The parts that the slots of a worker share."""

    source: FeedSource
    settings: ProducerSettings
    codec: Codec
    stream: Stream
    pool: Pool
    clock: Clock
    view: View
    metrics: Metrics
    record_max_bytes: int
    """A change whose value is larger is a dead letter."""
    drops: Filter | None = None
    """The filter at the source; None when it drops nothing."""
