"""Puts a consumer together."""

from __future__ import annotations

import random as randomness
import threading
import time
from collections.abc import Callable

from connectors.telemetry import Telemetry
from consumers.runtime.aside import AsideFlow
from consumers.runtime.batch_flow import BatchFlow
from consumers.runtime.client import Broker
from consumers.runtime.consumer import Consumer
from consumers.runtime.contracts import BatchSink, RecordSink
from consumers.runtime.dead_letters import DeadLetters
from consumers.runtime.flow import Flow
from consumers.runtime.handling import Decode, Handling
from consumers.runtime.metrics import ConsumerMetrics
from consumers.runtime.poison import PoisonLimit, PoisonWindow
from consumers.runtime.reaction import TimeOf
from consumers.runtime.record_flow import RecordFlow
from consumers.runtime.replay_gate import ReplayGate
from consumers.runtime.settings import RuntimeSettings
from consumers.runtime.sink_thread import Calls, SinkThread
from consumers.runtime.start import BY_REPLAY
from consumers.runtime.wiring import Wiring
from schemas.replay import replay_group


def wall_clock_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def consumer(
    sink: RecordSink | BatchSink,
    *,
    topic: str,
    group: str,
    broker: Broker,
    decode: Decode,
    time_of: TimeOf,
    settings: RuntimeSettings,
    telemetry: Telemetry,
    stop: threading.Event,
    now_ms: Callable[[], int] = wall_clock_ms,
    random: Callable[[], float] = randomness.random,
    metrics: ConsumerMetrics | None = None,
    dead_letters_of: str | None = None,
    replay_topic: str | None = None,
    when_lapsed: str = BY_REPLAY,
    calls: Callable[[str], Calls] = SinkThread,
) -> Consumer:
    """A member of ``group`` that gives ``topic`` to ``sink``; ``run_forever`` runs it until ``stop`` is set.

    Args:
        sink: a record sink (has ``handle``) or a batch sink (has ``open``).
        topic: the topic of changes in this region.
        group: the consumer group; its dead letters go to ``<group>.dead-letter``.
        broker: the cluster: :class:`~consumers.runtime.kafka.KafkaBroker`, or in tests
            :class:`~consumers.runtime.memory.MemoryBroker`.
        decode: from a record's value to its change, as ``schemas.codec.ChangeCodec.decode``.
        time_of: when the write behind a change happened (:func:`consumers.runtime.reaction.time_of`).
        settings: bounds and intervals.
        telemetry: where metrics and health go; one consumer to a registry.
        stop: set it to stop gracefully.
        now_ms: the clock.
        random: a number from 0 to below 1, for jitter.
        metrics: where to count; by default new series in ``telemetry``'s registry.
        dead_letters_of: the group whose dead letters take the refused records; by default ``group``.
        replay_topic: where replays for the group come, which fill what retention took from it; None for a sink that
            takes none. They are read by a :class:`~consumers.runtime.replay_side.ReplaySide`.
        when_lapsed: what a person can do when retention was faster than the group: the hint of that error.
        calls: makes what calls the sink, from its name: a thread, so that a call that hangs does not hold the loop.
    """
    wiring = Wiring(
        topic, group, broker, settings, metrics or ConsumerMetrics(sink.name, telemetry.registry), now_ms, random
    )
    flow = _flow(wiring, sink, decode, time_of, dead_letters_of or group)
    if settings.in_flight == 1 or not isinstance(sink, RecordSink):  # else its sink has threads already
        flow = AsideFlow(flow, calls(sink.name), patience_ms=settings.poll_interval_ms)
    replays = ReplayGate(
        broker,
        replay_topic,
        replay_group(group),
        now_ms=now_ms,
        bound_s=settings.assignment_bound_ms / 1000,
        overdue_ms=settings.replay_overdue_ms,
        when_lapsed=when_lapsed,
    )
    return Consumer(wiring, flow=flow, replays=replays, telemetry=telemetry, stop=stop)


def _flow(wiring: Wiring, sink: RecordSink | BatchSink, decode: Decode, time_of: TimeOf, dead_letters_of: str) -> Flow:
    """What the records of this kind of sink go through."""
    settings, metrics = wiring.settings, wiring.metrics
    dead_letters = DeadLetters(
        wiring.broker,
        dead_letters_of,
        window=PoisonWindow(PoisonLimit(settings.poison_window_ms, settings.poison_share, settings.poison_at_least)),
        metrics=metrics,
        now_ms=wiring.now_ms,
        bound_ms=settings.dead_letter_bound_ms,
    )
    if isinstance(sink, RecordSink):
        handling = Handling(
            sink,
            decode=decode,
            time_of=time_of,
            dead_letters=dead_letters,
            passed_over=metrics.passed_over,
            now_ms=wiring.now_ms,
        )
        return RecordFlow(
            handling,
            settings,
            dead_letters=dead_letters,
            metrics=metrics,
            now_ms=wiring.now_ms,
            random=wiring.random,
        )
    return BatchFlow(
        sink,
        settings,
        decode=decode,
        time_of=time_of,
        dead_letters=dead_letters,
        metrics=metrics,
        now_ms=wiring.now_ms,
        random=wiring.random,
    )
