"""Sending a replay: once whatever dies and when, no faster than told, and what its topic says of it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.replay import Asked, Counts, Selection, Sending, Sorter, gather, may_go_on
from schemas.errors import ConfigError, FatalError
from schemas.headers import facts_of
from schemas.replay import NO_OFFSET, ReplayMarker, marker_of, replay_group, replay_topic
from tests.unit.replay.archived import START_MS, Archived, Died, Topic, table_of

ASKED = Asked("orders", "warehouse", Selection(START_MS, START_MS + 60_000))
RECORDS = [Archived(f"o-{n % 5}", n + 1, ordinal=n, value=b"v%d" % n) for n in range(23)]


class Dying:
    """Dies the n-th time that any named point is passed."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.passed: list[str] = []

    def __call__(self, point: str) -> None:
        self.passed.append(point)
        self.left -= 1
        if not self.left:
            raise Died


def markers(counts: Counts) -> list[ReplayMarker]:
    selection = ASKED.selection
    return [
        ReplayMarker("begin", ASKED.replay, selection.from_ms, selection.to_ms, "", 100 + p, counts.by_partition[p])
        for p in range(counts.partitions)
    ]


def run(topic: Topic, folder: Path, dying: Dying, *, batch_records: int = 4) -> None:
    """One life of the command: read where it stands, gather what is left, send, end."""
    state = topic.state()
    if state is not None and state.ended:
        return
    counts, sorter = Counts(topic.partitions), Sorter(folder, memory_bytes=2**20, spill_bytes=2**30)
    tables = [table_of(RECORDS[at::3]) for at in range(3)] + [table_of(RECORDS[:5])]  # some are archived twice
    gather(tables, ASKED.selection, sorter, counts=counts, after=state.place if state else "")
    sending = Sending(
        topic, ASKED.replay, list(state.counts) if state else [0] * topic.partitions,
        batch_records=batch_records, rate_per_s=10**9, clock_s=lambda: 0.0, sleep=pytest.fail, progress=lambda _: None,
        at=dying,
    )  # fmt: skip
    begin = state.begin if state else markers(counts)
    if state is None:
        sending.begin(begin)
    sending.send(sorter.ordered())
    sending.end(begin)


def check_whole(topic: Topic) -> None:
    """Every change once, in order, numbered densely; both markers in every partition."""
    for log in topic.records:
        first, *between, last = [headers for _, _, headers in log]
        assert marker_of(first).kind == "begin"
        end = marker_of(last)
        assert (end.kind, end.count, end.until) == ("end", len(between), marker_of(first).until)
        assert [int(dict(headers)["ce_replayordinal"]) for headers in between] == list(range(len(between)))
        assert all(facts_of(headers).replay == ASKED.replay for headers in between)
    replayed = [(k, v, h) for log in topic.records for k, v, h in log if marker_of(h) is None]
    assert sorted(facts_of(h).sequence for _, _, h in replayed) == list(range(1, 24))
    assert all(v == b"v%d" % (facts_of(h).sequence - 1) for _, v, h in replayed)
    for log in topic.records:
        sequences = [facts_of(h).sequence for _, _, h in log[1:-1]]
        assert sequences == sorted(sequences)


@pytest.mark.parametrize("point", range(1, 17))
def test_killed_at_every_point_and_gone_on_with(tmp_path: Path, point: int) -> None:
    """Dead before or after any commit, or before the end markers: gone on with, each change is there once."""
    topic, dying = Topic(3), Dying(point)
    died = False
    try:
        run(topic, tmp_path, dying)
    except Died:
        died = True
    assert died is (point <= 15), dying.passed  # begin, six batches before and after, before and after the end
    run(topic, tmp_path, Dying(0))
    check_whole(topic)


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_killed_as_often_as_you_like(tmp_path_factory, deaths: list[int], batch_records: int) -> None:
    """Any number of deaths, with any size of batch, and the topic ends the same."""
    topic, folder = Topic(2), tmp_path_factory.mktemp("spill")
    for at in deaths:
        try:
            run(topic, folder, Dying(at), batch_records=batch_records)
        except Died:
            continue
    run(topic, folder, Dying(0), batch_records=batch_records)
    check_whole(topic)


def test_the_rate_holds() -> None:
    """After each transaction it waits until the rate allows the next."""
    clock = itertools.count(0, 0.01)
    waited: list[float] = []
    sorter = Sorter(Path(), memory_bytes=2**20, spill_bytes=2**30)
    gather([table_of(RECORDS)], ASKED.selection, sorter, counts=Counts(2), after="")
    told: list[int] = []
    sending = Sending(
        Topic(2), "r", [0, 0], batch_records=10, rate_per_s=100,
        clock_s=lambda: next(clock), sleep=waited.append, progress=told.append,
    )  # fmt: skip
    sending.send(sorter.ordered())
    assert told == [10, 20, 23]
    assert waited == pytest.approx([0.09, 0.18, 0.20])  # the clock of this test stands still while it sleeps


def test_ids_and_names_are_the_same_for_the_same_replay() -> None:
    """The id follows from feed, consumer, range and order, and from nothing else."""
    again = Asked("orders", "warehouse", Selection(START_MS, START_MS + 60_000))
    one_order = Asked("orders", "warehouse", Selection(START_MS, START_MS + 60_000, b"o-1"))
    assert again.replay == ASKED.replay
    assert len({ASKED.replay, one_order.replay, Asked("orders", "other", ASKED.selection).replay}) == 3
    assert replay_topic("orders", "warehouse") == "orders.replay.warehouse"
    assert replay_group("orders.warehouse") == "orders.warehouse.replay"


def test_what_is_under_way_is_not_begun_again(tmp_path: Path) -> None:
    """Without --resume a replay that is there is refused, whatever its range; with it, another range is."""
    topic = Topic(2)
    with pytest.raises(Died):
        run(topic, tmp_path, Dying(4))
    state = topic.state()
    assert state is not None
    assert (state.replay, state.sent, state.planned) == (ASKED.replay, 4, 28)
    assert state.asked("orders", "warehouse") == ASKED
    may_go_on(state, ASKED, resume=True, consumer="warehouse")
    may_go_on(state, None, resume=True, consumer="warehouse")
    with pytest.raises(ConfigError, match="is under way: 4 of 28"):
        may_go_on(state, ASKED, resume=False, consumer="warehouse")
    other = Asked("orders", "warehouse", Selection(0, 1))
    with pytest.raises(ConfigError, match="of another range"):
        may_go_on(state, other, resume=True, consumer="warehouse")
    run(topic, tmp_path, Dying(0))
    ended = topic.state()
    assert ended is not None
    with pytest.raises(ConfigError, match="is sent whole") as refused:
        may_go_on(ended, ASKED, resume=True, consumer="warehouse")
    assert "--finish" in refused.value.hint


def test_a_topic_with_something_else_in_it_is_not_touched() -> None:
    """Records that no replay wrote, or a partition without its marker, are a fault and not a state."""
    topic = Topic(2)
    assert topic.state() is None
    topic.begin()
    topic.send(0, b"k", b"v", [])
    topic.commit()
    with pytest.raises(FatalError, match="does not begin as a replay does"):
        topic.state()


def test_a_marker_of_a_newer_version_is_told() -> None:
    """A marker with a field that is not known here stops whoever reads it."""
    marker = ReplayMarker("end", "r", 1, 2, "o-1", NO_OFFSET, 3)
    assert marker_of(marker.headers()) == marker
    assert marker_of([("ce_id", b"1")]) is None
    with pytest.raises(FatalError, match="cannot be read"):
        marker_of([("ce_replaymarker", b'{"kind":"end","more":1}')])
