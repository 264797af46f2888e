"""What the runtime promises of replays, as tests that run against memory and against a real cluster alike."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any, Protocol, Self

from confluent_kafka import Message

from connectors.telemetry import Telemetry
from consumers.runtime import Record, RuntimeSettings, consumer
from consumers.runtime.client import Broker
from consumers.runtime.metrics import ConsumerMetrics
from consumers.runtime.replay_side import ReplaySide
from consumers.runtime.start import LapsedError
from feed.testing import until
from schemas.replay import ReplayMarker
from tests.unit.consumers.consumer_contract import FAST, WAIT_S, Recorder, decode, value_of, written_at

BEGIN = ReplayMarker("begin", "r-1", 0, 10**13, "", 0, 0)


class ReplayRig(Protocol):
    """A live topic of two partitions, a group, and the topic of its replay, which :meth:`make_replay` makes."""

    topic: str
    group: str
    replay: str

    def broker(self, settings: RuntimeSettings) -> Broker: ...
    def put(self, key: str, value: bytes | None, partition: int = 0) -> int: ...
    def committed(self, partition: int = 0) -> int | None: ...
    def commit(self, partition: int, offset: int) -> None: ...
    def trim(self, partition: int, low: int) -> None: ...
    def dead_letters(self) -> list[Record | Message]: ...
    def end(self, partition: int = 0) -> int: ...
    def make_replay(self) -> None: ...
    def put_replay(
        self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], partition: int = 0
    ) -> None: ...
    def delete_replay(self) -> None: ...


class Member:
    """A consumer that takes replays, on threads of its own."""

    def __init__(self, rig: ReplayRig, sink: Any, **settings: Any) -> None:
        read = RuntimeSettings(**(FAST | {"replay_look_interval_ms": 50} | settings))
        self.telemetry = Telemetry("test")
        self.stop_event = threading.Event()
        self.error: BaseException | None = None
        self.sink = sink
        metrics = ConsumerMetrics(sink.name, self.telemetry.registry)
        self.live = consumer(
            sink, topic=rig.topic, group=rig.group, broker=rig.broker(read), decode=decode, time_of=written_at,
            settings=read, telemetry=self.telemetry, stop=self.stop_event, metrics=metrics, replay_topic=rig.replay,
        )  # fmt: skip
        self.side = ReplaySide(
            sink, replay_topic=rig.replay, group=rig.group, broker=lambda: rig.broker(read), decode=decode,
            settings=read, telemetry=self.telemetry, metrics=metrics, stop=self.stop_event,
            now_ms=self.live._now_ms,
        )  # fmt: skip
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self.side:
                self.live.run_forever()
        except BaseException as error:  # noqa: BLE001 (the test judges it)
            self.error = error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_event.set()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive(), "the consumer did not stop"

    def failed(self) -> BaseException:
        """Wait until it has stopped by itself; its error."""
        self.thread.join(WAIT_S)
        assert self.error is not None, "the consumer did not stop by itself"
        return self.error

    def metric(self, name: str, **labels: str) -> float:
        return self.telemetry.registry.get_sample_value(name, labels) or 0.0

    def red(self) -> str:
        """Every reason for being ill."""
        return "; ".join(check.reason for check in self.telemetry.health.read().values() if not check.ok)


def lapse(rig: ReplayRig) -> None:
    """The group has read three of ten records of partition 0; retention has deleted seven."""
    for n in range(10):
        rig.put("a", value_of("a", n))
    rig.commit(0, 3)
    rig.commit(1, 0)
    rig.trim(0, 7)


def begin(rig: ReplayRig) -> None:
    """Make the replay's topic with its begin markers."""
    rig.make_replay()
    for number in (0, 1):
        rig.put_replay(None, None, BEGIN.headers(), number)


def replay(rig: ReplayRig, numbers: range, partition: int = 0) -> None:
    """Send changes of one order."""
    for n in numbers:
        rig.put_replay(b"a", value_of("a", n), [("ce_replay", b"r-1"), ("ce_replayordinal", b"%d" % n)], partition)


def end(rig: ReplayRig, until_offset: int) -> None:
    """End the replay: it vouches for what lies below an offset of the live partition."""
    for number in (0, 1):
        rig.put_replay(None, None, replace(BEGIN, kind="end", until=until_offset).headers(), number)


class ReplayContract:
    """Derive it and give a ``rig`` fixture."""

    def test_a_lapsed_partition_waits_for_its_replay_and_goes_on(self, rig: ReplayRig) -> None:
        """The lapsed partition is fetched only when the replay's end is behind the group; the other flows meanwhile."""
        lapse(rig)
        begin(rig)
        sink = Recorder()
        with Member(rig, sink) as member:
            replay(rig, range(3, 7))
            until(lambda: sink.of("a") == [3, 4, 5, 6], "the replayed changes")
            rig.put("b", value_of("b", 100), 1)
            until(lambda: sink.of("b") == [100], "the partition that has not lapsed")
            assert rig.committed() == 3
            assert member.red() == ""
            end(rig, 7)
            until(lambda: sink.of("a") == [3, 4, 5, 6, 7, 8, 9], "the live changes behind the replay")
            until(lambda: rig.committed() == rig.end(), "a commit of everything")
            until(
                lambda: member.metric("feed_consumer_records_total", sink="recorder-replay", partition="0") == 4, "it"
            )
        assert member.error is None
        assert rig.dead_letters() == []

    def test_it_goes_on_in_another_process(self, rig: ReplayRig) -> None:
        """A process that stops in the middle of a replay is followed by one that goes on where it was."""
        lapse(rig)
        begin(rig)
        first, second = Recorder(), Recorder(name="second")
        with Member(rig, first):
            replay(rig, range(3, 5))
            until(lambda: first.of("a") == [3, 4], "the first replayed changes")
        replay(rig, range(5, 7))
        end(rig, 10)
        with Member(rig, second):
            until(lambda: second.of("a") == [5, 6, 7, 8, 9], "the others, then the live ones")
            until(lambda: rig.committed() == rig.end(), "a commit of everything")

    def test_two_members_share_replay_and_live_alike(self, rig: ReplayRig) -> None:
        """Whoever of two members has the replay's partition, the lapsed live one goes on with whoever has that."""
        lapse(rig)
        begin(rig)
        one, two = Recorder(), Recorder(name="two")
        with Member(rig, one), Member(rig, two):
            replay(rig, range(3, 5))
            replay(rig, range(200, 203), 1)
            until(lambda: len(one.seen) + len(two.seen) == 5, "the replayed changes")
            replay(rig, range(5, 7))
            end(rig, 7)
            rig.put("b", value_of("b", 100), 1)
            until(lambda: len(one.seen) + len(two.seen) >= 11, "everything")
        seen = sorted(number for _, number in one.seen + two.seen)
        assert sorted(set(seen)) == [3, 4, 5, 6, 7, 8, 9, 100, 200, 201, 202]

    def test_a_replay_beside_a_live_topic_in_range(self, rig: ReplayRig) -> None:
        """Where nothing lapsed the replay is read beside the live topic, and neither waits for the other."""
        begin(rig)
        sink = Recorder()
        with Member(rig, sink):
            rig.put("b", value_of("b", 1))
            until(lambda: sink.of("b") == [1], "a live change before the replay has ended")
            replay(rig, range(4))
            until(lambda: sink.of("a") == [0, 1, 2, 3], "the replayed changes")
            until(lambda: rig.committed() == rig.end(), "the live commit")

    def test_retention_that_went_on_stops_it(self, rig: ReplayRig) -> None:
        """A replay that vouches for less than what is gone by now leaves the place held; the error says what next."""
        lapse(rig)
        begin(rig)
        replay(rig, range(3, 6))
        end(rig, 6)
        sink = Recorder()
        error = Member(rig, sink).failed()
        assert isinstance(error, LapsedError)
        assert "below offset 6 only" in str(error)
        assert "another `feed replay`" in error.hint
        assert rig.committed() == 3
        assert sink.of("a") in ([3, 4, 5], [])

    def test_a_replay_that_is_taken_away_stops_it(self, rig: ReplayRig) -> None:
        """A partition that waits for a replay which is deleted is not left waiting."""
        lapse(rig)
        begin(rig)
        with Member(rig, Recorder()) as member:
            until(lambda: rig.committed(1) == 0 and not member.live._members.ready, "the partition that waits")
            rig.delete_replay()
            error = member.failed()
        assert isinstance(error, LapsedError)
        assert rig.committed() == 3

    def test_a_replay_that_does_not_move_is_red(self, rig: ReplayRig) -> None:
        """After the stated time without any progress health is red with the hint, and green when it goes on."""
        lapse(rig)
        begin(rig)
        sink = Recorder()
        with Member(rig, sink, replay_overdue_ms=300) as member:
            until(lambda: "feed replay --resume" in member.red(), "red health", within_s=60)
            replay(rig, range(3, 7))
            end(rig, 7)
            until(lambda: sink.of("a")[-1:] == [9], "the live changes")
            until(lambda: member.red() == "", "green health")

    def test_refused_records_of_a_replay_are_dead_letters_of_the_group(self, rig: ReplayRig) -> None:
        """Poison in a replay is kept with the group's other dead letters, and says which topic it came from."""
        begin(rig)
        rig.put_replay(b"a", b"poison", [("ce_replay", b"r-1")])
        replay(rig, range(1))
        sink = Recorder()
        with Member(rig, sink):
            until(lambda: sink.of("a") == [0], "the change behind the poison")
        (letter,) = rig.dead_letters()
        assert dict(letter.headers() or [])["__connect.errors.topic"] == rig.replay.encode()

    def test_one_replay_after_another(self, rig: ReplayRig) -> None:
        """When a replay's topic is deleted and another is made under its name, that is read from its beginning."""
        begin(rig)
        replay(rig, range(3))
        end(rig, 0)
        sink = Recorder()
        with Member(rig, sink) as member:
            until(lambda: sink.of("a") == [0, 1, 2], "the first replay")
            # its reader's thread may be done before the side has noted that there is one
            until(lambda: member.side._reading is not None, "the reader of the first")
            rig.delete_replay()
            # as the command waits until nobody reads: what a reader still commits would count for the second
            until(lambda: member.side._reading is None, "the end of the first")
            begin(rig)
            replay(rig, range(2))
            until(lambda: sink.of("a") == [0, 1, 2, 0, 1], "the second replay")
            rig.put("b", value_of("b", 1))
            until(lambda: sink.of("b") == [1], "the live side, which all of this did not touch")
        assert member.error is None
