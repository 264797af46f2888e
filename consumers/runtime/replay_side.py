"""Reads the replay of a group beside its live topic: a second consumer of the same sink, while there is a replay.

It belongs to a group of its own, ``<group>.replay``: that a replay comes or goes rebalances nothing of the live side,
and neither holds the other up. The sink is the same object, called by both; it must compare versions, as every sink
that takes replays does. Refused records go to the dead letters of the live group.
"""

from __future__ import annotations

import logging
import random as randomness
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from connectors.telemetry import Telemetry
from consumers.runtime.build import consumer
from consumers.runtime.client import Broker, TopicIdentity
from consumers.runtime.contracts import RecordSink
from consumers.runtime.handling import Decode
from consumers.runtime.metrics import ConsumerMetrics
from consumers.runtime.settings import RuntimeSettings
from schemas.errors import ConfigError, FatalError, FeedError, RetryableError
from schemas.replay import replay_group

LOOK_BOUND_S = 10.0
LOOKS_AFTER_AN_END = 3
"""A reader that failed has this many looks for its topic to be found gone, which is no failure."""

STOP_BOUND_S = 30.0
"""How long the reader may take to leave when the process stops; its thread dies with the process."""

_log = logging.getLogger(__name__)


class _Reading:
    """One replay being read."""

    def __init__(self, identity: TopicIdentity, run: Callable[[threading.Event], None]) -> None:
        self.identity = identity
        self.stop = threading.Event()
        self.fault: BaseException | None = None
        self.looks_left = LOOKS_AFTER_AN_END
        self._run = run
        self.thread = threading.Thread(target=self._guarded, name=f"replay-{identity.topic}", daemon=True)
        self.thread.start()

    def _guarded(self) -> None:
        try:
            self._run(self.stop)
        except BaseException as error:  # noqa: BLE001 (the looker judges it: a topic that is gone is no failure)
            self.fault = error

    def end(self) -> None:
        self.stop.set()
        self.thread.join(STOP_BOUND_S)


class ReplaySide:
    """A context: within it replays are read. When reading one fails for good, ``stop`` is set and the exit raises.

    Args:
        sink: the live consumer's sink.
        replay_topic: where replays of the group come.
        group: the live group.
        broker: makes the cluster's port for each replay.
        decode: as the live consumer's.
        settings: as the live consumer's.
        telemetry: health and readiness are told for ``<group>.replay``, while there is a replay.
        metrics: the live consumer's; the replay's series have ``sink="<name>-replay"``.
        stop: the process's.
        now_ms: the clock.
        random: a number from 0 to below 1, for jitter.
    """

    def __init__(
        self,
        sink: RecordSink,
        *,
        replay_topic: str,
        group: str,
        broker: Callable[[], Broker],
        decode: Decode,
        settings: RuntimeSettings,
        telemetry: Telemetry,
        metrics: ConsumerMetrics,
        stop: threading.Event,
        now_ms: Callable[[], int],
        random: Callable[[], float] = randomness.random,
    ) -> None:
        self._sink = sink
        self._topic = replay_topic
        self._group = group
        self._broker = broker
        self._decode = decode
        self._settings = settings
        self._telemetry = telemetry
        self._metrics = metrics.beside(f"{metrics.sink}-replay")
        self._stop = stop
        self._now_ms = now_ms
        self._look_every_s = settings.replay_look_interval_ms / 1000
        self._random = random
        self._ended = threading.Event()
        self._reading: _Reading | None = None
        self._fault: BaseException | None = None
        self._trouble = ""
        self._thread = threading.Thread(target=self._look_on, name=f"replays-{group}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(STOP_BOUND_S + LOOK_BOUND_S)
        self._let_go()
        if error is None and self._fault is not None:
            raise self._fault

    def _look_on(self) -> None:
        looking = self._broker()
        try:
            while not self._ended.is_set():
                self._look(looking)
                if self._fault is not None:
                    self._stop.set()
                    return
                self._ended.wait(self._look_every_s)
        finally:
            looking.close()

    def _look(self, looking: Broker) -> None:
        try:
            identity = looking.identify(self._topic, LOOK_BOUND_S)
        except ConfigError:  # there is no replay
            self._let_go()
            return
        except FeedError as error:  # the cluster does not answer; or this client may not ask: the live side goes on
            if str(error) != self._trouble:
                self._trouble = str(error)
                level = logging.INFO if isinstance(error, RetryableError) else logging.WARNING
                _log.log(level, "no look for a replay topic=%s error=%s", self._topic, error)
            return
        self._trouble = ""
        if self._reading is not None and self._reading.identity != identity:
            self._let_go()
        if self._reading is None:
            _log.info("a replay is there, and is read beside the live topic topic=%s", self._topic)
            self._reading = _Reading(identity, self._read)
        self._judge(self._reading)

    def _judge(self, reading: _Reading) -> None:
        """A reader that ended by itself while its topic stays is a failure."""
        if reading.thread.is_alive():
            return
        reading.looks_left -= 1
        if reading.looks_left > 0:
            return
        fault = reading.fault
        if isinstance(fault, FatalError) or fault is None:
            self._fault = fault or FatalError(f"the reader of {self._topic} ended", hint="start the process again")
        else:
            self._fault = FatalError(f"reading {self._topic} failed: {fault!r}", hint="a fault of this program")

    def _read(self, stop: threading.Event) -> None:
        consumer(
            self._sink,
            topic=self._topic,
            group=replay_group(self._group),
            broker=self._broker(),
            decode=self._decode,
            time_of=lambda _: None,  # a replayed change is no reaction to anything
            settings=self._settings.model_copy(update={"static_member_id": None}),
            telemetry=self._telemetry,
            stop=stop,
            now_ms=self._now_ms,
            random=self._random,
            metrics=self._metrics,
            dead_letters_of=self._group,
        ).run_forever()

    def _let_go(self) -> None:
        if self._reading is None:
            return
        self._reading.end()
        _log.info("the replay is over topic=%s", self._topic)
        self._reading = None
        # what is gone is neither ill nor unready
        self._telemetry.health.clear(replay_group(self._group))
        self._telemetry.readiness.clear(replay_group(self._group))
