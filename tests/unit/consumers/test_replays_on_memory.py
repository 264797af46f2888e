"""The runtime's promises of replays, on a topic in memory; and the decision behind them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consumers.runtime import MemoryBroker, RuntimeSettings
from consumers.runtime.memory import MemoryRecord
from consumers.runtime.replay_gate import ReplaySeen, goes_on
from consumers.runtime.start import LapsedError
from feed.testing import until
from schemas.errors import FatalError, RetryableError
from schemas.replay import NO_OFFSET, replay_topic
from tests.unit.consumers.consumer_contract import Recorder
from tests.unit.consumers.replay_contract import BEGIN, Member, ReplayContract, begin, lapse, replay

LAPSED = LapsedError("gap", hint="feed replay")


class MemoryReplayRig:
    """See :class:`tests.unit.consumers.replay_contract.ReplayRig`."""

    topic = "orders"
    group = "orders.test"
    replay = replay_topic("orders", "test")

    def __init__(self) -> None:
        self.cluster = MemoryBroker(self.topic, 2)

    def broker(self, settings: RuntimeSettings) -> MemoryBroker:
        return self.cluster

    def put(self, key: str, value: bytes | None, partition: int = 0) -> int:
        return self.cluster.put(key.encode(), value, partition=partition)

    def committed(self, partition: int = 0) -> int | None:
        return self.cluster.committed(self.group, partition)

    def commit(self, partition: int, offset: int) -> None:
        self.cluster.set_committed(self.group, partition, offset)

    def trim(self, partition: int, low: int) -> None:
        self.cluster.trim(partition, low)

    def dead_letters(self) -> list[MemoryRecord]:
        return self.cluster.read(f"{self.group}.dead-letter")

    def end(self, partition: int = 0) -> int:
        return self.cluster.log(partition).end

    def make_replay(self) -> None:
        self.cluster.add_topic(self.replay, 2)

    def put_replay(
        self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], partition: int = 0
    ) -> None:
        self.cluster.put(key, value, partition=partition, headers=headers, topic=self.replay)

    def delete_replay(self) -> None:
        self.cluster.delete_topic(self.replay)


@pytest.fixture
def rig() -> MemoryReplayRig:
    return MemoryReplayRig()


class TestReplaysOnMemory(ReplayContract):
    """The contract, in memory."""

    def test_a_member_that_is_killed_while_it_waits(self, rig: MemoryReplayRig) -> None:
        """The next one finds the replay where it was, and the live partition still held at the group's offset."""
        lapse(rig)
        begin(rig)
        replay(rig, range(3, 5))
        first = Recorder()
        with Member(rig, first):
            until(lambda: first.of("a") == [3, 4], "the first replayed changes")
            rig.cluster.kill(rig.group)
            rig.cluster.kill(f"{rig.group}.replay")
        assert rig.committed() == 3

    def test_a_fatal_error_of_the_replay_ends_the_process(self, rig: MemoryReplayRig) -> None:
        """A sink that breaks on a replayed change stops live and replay, with its error, and commits nothing of it."""
        begin(rig)
        replay(rig, range(1))
        sink = Recorder(all_failing=FatalError("the sink is broken", hint="mend it"))
        error = Member(rig, sink).failed()
        assert "the sink is broken" in str(error)

    def test_a_cluster_that_does_not_answer_is_asked_again(
        self, rig: MemoryReplayRig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Looks that fail neither end the live side nor open the lapsed partition."""
        lapse(rig)
        begin(rig)
        answers = iter([RetryableError("no answer", hint="wait")] * 3)
        ask = MemoryBroker.last_record

        def unsure(self: MemoryBroker, topic: str, partition: int, timeout_s: float) -> MemoryRecord | None:
            if (error := next(answers, None)) is not None:
                raise error
            return ask(self, topic, partition, timeout_s)

        monkeypatch.setattr(MemoryBroker, "last_record", unsure)
        sink = Recorder()
        with Member(rig, sink):
            replay(rig, range(3, 7))
            rig.put_replay(None, None, replace(BEGIN, kind="end", until=7).headers(), 0)
            until(lambda: sink.of("a") == [3, 4, 5, 6, 7, 8, 9], "everything")


@pytest.mark.parametrize(
    "seen, answer",
    [
        (ReplaySeen(None, 0, 0), False),
        (ReplaySeen(None, 7, 7), False),
        (ReplaySeen(BEGIN, 1, 1), False),
        (ReplaySeen(replace(BEGIN, kind="end", until=50), 9, 8), False),
        (ReplaySeen(replace(BEGIN, kind="end", until=50), 9, 9), True),
        (ReplaySeen(replace(BEGIN, kind="end", until=50), 9, 10), True),
    ],
)
def test_when_the_live_side_goes_on(seen: ReplaySeen, answer: bool) -> None:
    """Only behind an end marker that the replay's group has committed, and that vouches for the beginning of live."""
    assert goes_on(seen, 50, LAPSED) is answer


@pytest.mark.parametrize("vouched", [49, NO_OFFSET])
def test_a_replay_that_vouches_for_too_little(vouched: int) -> None:
    """One that ends below where live begins, as one of a single order always does, is no reason to go on."""
    with pytest.raises(LapsedError, match="vouches"):
        goes_on(ReplaySeen(replace(BEGIN, kind="end", until=vouched), 9, 9), 50, LAPSED)
