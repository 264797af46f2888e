"""When a gap is told, once, and when it is certain."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from connectors.dynamodb_streams import Listing, Page, PollPolicy, Shard, Sightings, observe
from feed.testing.simulator import SimulatedClock, SimulatedStreams
from producers.stream import Clock
from producers.stream.losses import concludes, first_look, still_idle, trimmed
from producers.stream.reader import Answer, ShardReader
from producers.stream.slot import Slot
from producers.stream.survey import READ_LATE, TRIMMED_AFTER, UNLISTED, Statement, gap, survey, unread_record
from schemas.control import ControlEvent, ControlKind
from schemas.errors import RetryableError
from schemas.position import TRIMMED, Baseline, Position, ShardState
from tests.unit.producers.producer_simulation import Simulation
from tests.unit.producers.simulated_worker import HOUR_MS, Plan, SimulatedWorker
from tests.unit.producers.test_survey import ARN, MINUTE, scene, seen_at

DAY_MS = 24 * HOUR_MS
CLOSED = Shard("b", closed=True, first=1, last=9)


def reader_of(position: Position) -> ShardReader:
    clock = SimulatedClock()
    ports = Clock(clock.now_ms, clock.steady_ms, lambda: 0.0)
    return ShardReader(position, SimulatedStreams(clock, random.Random(1)), PollPolicy(), ports)


def gaps(statements: list[Statement]) -> list[ControlEvent]:
    return [event for said in statements for event in said.control if event.kind is ControlKind.GAP]


# --- what a listing proves


@pytest.mark.parametrize(
    "shard,read,proven",
    [
        (CLOSED, 7, 9),
        (CLOSED, None, 9),
        (CLOSED, 9, None),
        (Shard("b", closed=True, first=5, last=5), None, None),
        (Shard("b", closed=True, first=5, last=5), 4, None),
        (Shard("b", first=5), None, None),
        (Shard("b", closed=True, last=9), None, None),
        (Shard("b", closed=True, last=9), 7, 9),
    ],
)
def test_a_record_is_proven_by_the_last_number_alone(shard: Shard, read: int | None, proven: int | None) -> None:
    """Above what was read and above the shard's first number, which is a mark; an open shard proves nothing."""
    assert shard.record_after(read) == proven


def test_a_shard_is_remembered_as_it_was_listed_last() -> None:
    """It leaves the listing, and its last number is known still; an open one that never closed proves nothing."""
    seen = seen_at(MINUTE, before=seen_at(0, CLOSED, Shard("c", first=1)))
    assert seen.find("b") == CLOSED
    assert observe(seen, Listing(ARN, {}, complete=False, at_ms=MINUTE + 1)).find("b") == CLOSED
    assert seen.find("d") is None


def test_an_older_record_of_the_baseline_is_not_promised() -> None:
    """A shard of the baseline that was never read may have had its last record before the feed began."""
    seen, unread = {ARN: seen_at(0, CLOSED)}, Position("b", ARN)
    begun = scene(sightings=seen, baseline=Baseline(ARN, 1, 0, shards={"b": ""}))
    assert unread_record(scene(sightings=seen), unread) == 9
    assert unread_record(begun, unread) is None
    assert unread_record(begun, replace(unread, sequence=3)) == 9
    assert unread_record(scene(sightings={}), unread) is None


def test_an_unlisted_shard_with_a_record_behind_the_position_is_a_certain_gap() -> None:
    """Its last listing named a number that was never read; at that number nothing is certain."""
    seen = seen_at(2 * MINUTE, before=seen_at(MINUTE, before=seen_at(0, CLOSED)))
    for sequence, certain in ((7, True), (9, False)):
        own = {"b": Position("b", ARN, ShardState.READING, sequence=sequence)}
        (event,) = gaps(survey(scene(own=own, sightings={ARN: seen}, refused_since_ms={"b": 1})))
        assert (event.certain, event.reason.startswith(UNLISTED)) == (certain, True)
        assert ("9" in event.reason) is certain


# --- what the trim horizon proves


def history(*steps: str) -> list[ControlEvent]:
    """Gaps of a feed whose worker published one change, died, and came back after ``steps``; of its first shard."""
    simulation = Simulation(1, plan=Plan(slots=1, workers=1, keys=1, ticks=0, crash=0, freeze=0, outage=0))
    simulation.streams.enable()
    worker = simulation._start()
    simulation.streams.write("k0")
    for _ in range(60):
        simulation._tick(250)
    assert len(simulation.changes()) == 1
    simulation._kill(worker)
    for step in steps:
        if step == "write":
            simulation.streams.write("k0")
        elif step == "roll":
            simulation.streams.roll(simulation.streams.open_shards()[0])
        else:
            simulation.clock.advance(int(step) * HOUR_MS)
    simulation._start()
    simulation._drain()
    return [e for e in simulation.control() if e.kind is ControlKind.GAP and e.sequence is not None]


def test_a_closed_shard_without_any_record_left_is_a_certain_gap() -> None:
    """Its last record was never read, and the trim horizon has none."""
    (event,) = history("write", "5", "roll", "20")
    assert event.certain
    assert event.reason.startswith(TRIMMED_AFTER)


def test_what_is_left_of_a_closed_shard_makes_the_gap_possible_and_gives_its_end() -> None:
    """The proven record is there; between the position and it something may be gone, or not."""
    (event,) = history("write", "5", "write", "roll", "20")
    assert not event.certain
    assert event.to_sequence is not None
    assert event.sequence is not None
    assert event.to_sequence > event.sequence


def test_an_idle_shard_that_aged_out_is_no_certain_gap() -> None:
    """Everything was read, and the position lies before the trim horizon all the same."""
    (event,) = history("5", "roll", "20")
    assert not event.certain


def test_a_shard_read_late_is_certain_when_it_ends_without_a_record() -> None:
    """Never read, not of the baseline: its first page decides, empty ones before it do not."""
    late = scene(now_ms=3 * DAY_MS, sightings={ARN: seen_at(0, CLOSED)})
    position = Position("b", ARN, since_ms=1)

    def looked(page: Page, reader: ShardReader) -> Statement | None:
        answer = Answer("b", 0, late.now_ms, page, None, from_horizon=True)
        reader.ended = page.next_token is None
        return first_look(late, position, reader, answer, page, retention_ms=DAY_MS)

    reader = reader_of(position)
    assert looked(Page([], "more", 0), reader) is None
    (event,) = gaps([looked(Page([], None, 0), reader) or Statement()])
    assert (event.certain, event.reason.partition(";")[0]) == (True, READ_LATE)
    record = {"dynamodb": {"SequenceNumber": "9"}}
    (event,) = gaps([looked(Page([record], None, 0), reader_of(position)) or Statement()])
    assert (event.certain, event.to_sequence) == (False, 9)


def test_a_server_that_says_trimmed_at_the_horizon_too_makes_it_certain() -> None:
    """DynamoDB Local does so for a shard with old records only; it is believed after three answers."""
    position = Position("b", ARN, ShardState.READING, sequence=7)
    known = scene(own={"b": position}, sightings={ARN: seen_at(0, CLOSED)})
    reader = reader_of(position)
    reader.trims = 1
    assert trimmed(known, [reader], {"b"}) == []
    assert reader.suspicion == ""
    assert trimmed(known, [reader], ()) == []
    assert (reader.suspicion, reader.trims) == (TRIMMED_AFTER, 0)
    reader.trims = 2
    assert trimmed(known, [reader], ()) == []
    reader.trims = 3
    (event,) = gaps(trimmed(known, [reader], ()))
    assert event.certain


# --- nothing between two workers, two clocks or two days goes unseen


def test_the_margin_covers_late_listings_and_clocks_that_differ() -> None:
    """A shard appears in listings after its birth: first read just within a day of that, its oldest may be gone."""
    for early_ms, told in ((9 * MINUTE, 1), (11 * MINUTE, 0)):
        now = scene(now_ms=DAY_MS - early_ms + 1)
        position = Position("b", ARN, since_ms=1)
        answer = Answer("b", 0, now.now_ms, Page([], "more", 0), None, from_horizon=True)
        said = first_look(now, position, reader_of(position), answer, Page([], "more", 0), retention_ms=DAY_MS)
        assert len(gaps([said or Statement()])) == told


def test_a_second_day_behind_a_gap_is_a_second_gap() -> None:
    """An idle shard whose gap was told, and that nobody read for another day, is suspected anew."""
    behind = gap(scene(now_ms=5 * DAY_MS), Position("b", ARN, ShardState.READING, sequence=7), TRIMMED_AFTER).position
    assert behind is not None
    assert (behind.start, behind.since_ms) == (TRIMMED, 5 * DAY_MS)
    for hours, told in ((1, 0), (25, 1)):
        later = scene(now_ms=5 * DAY_MS + hours * HOUR_MS)
        answer = Answer("b", 0, later.now_ms, Page([], "more", 0), None, from_horizon=True)
        said = first_look(later, behind, reader_of(behind), answer, Page([], "more", 0), retention_ms=DAY_MS)
        assert len(gaps([said or Statement()])) == told


def test_a_shard_is_at_its_tip_only_after_minutes_of_empty_pages() -> None:
    """Empty pages also come where a stretch has no records: eight of them within seconds prove nothing."""
    position = Position("b", ARN, ShardState.READING, since_ms=1)
    reader = reader_of(position)
    for turn in range(50):
        reader.take(Answer("b", 0, turn, Page([], "more", 0), None, from_horizon=False))
    now = scene(own={"b": position}, now_ms=DAY_MS // 2)
    assert reader.idle_since_ms is not None
    late_ms = reader.idle_since_ms + 10 * MINUTE
    assert still_idle(now, [reader], steady_ms=late_ms - 1, refresh_ms=DAY_MS // 8) == []
    (said,) = still_idle(now, [reader], steady_ms=late_ms, refresh_ms=DAY_MS // 8)
    assert said.position is not None
    # what was written since the first of the empty pages may still come
    assert said.position.since_ms == now.now_ms - 10 * MINUTE


def test_a_stream_of_the_past_is_never_taken_for_a_new_one() -> None:
    """A worker that slept through two changes of stream, whose positions are retired by now, begins nothing."""
    table = "arn:aws:dynamodb:eu-west-1:1:table/orders/stream/"
    now = Baseline(f"{table}2026-03-01T00:00:00.000", 3, 0, after=f"{table}2026-02-01T00:00:00.000")
    old, new = f"{table}2026-01-01T00:00:00.000", f"{table}2026-04-01T00:00:00.000"
    for stream, begun in ((old, False), (new, True)):
        seen = {stream: observe(Sightings(stream), Listing(stream, {}, complete=True, at_ms=9))}
        said = survey(scene(stream=stream, baseline=now, record=None, sightings=seen))
        assert any(statement.baseline is not None for statement in said) is begun


# --- pages that wait


def running() -> SimulatedWorker:
    simulation = Simulation(1, plan=Plan(slots=1, workers=1, keys=1, ticks=0, crash=0, freeze=0, outage=0))
    simulation.streams.enable()
    worker = simulation._start()
    simulation.streams.write("k0")
    for _ in range(60):
        simulation._tick(250)
    return worker


def test_pages_that_wait_come_before_what_is_said_about_the_end_of_their_shard() -> None:
    """A shard ages out just behind a page that was read: the page is published, the gap is told once, behind it."""
    worker = running()
    simulation = worker.simulation
    slot = worker.owners[0].slot
    assert isinstance(slot, Slot)
    (reader,) = slot.readers.values()
    simulation.streams.write("k0")
    answers: list[Answer] = []
    reader.due_ms = 0
    reader.job(answers.append)()
    reader.take(answers[0])
    assert answers[0].page is not None
    slot._pages.append((reader, answers[0].page, answers[0].at_ms))
    before = slot.positions[reader.shard]
    slot._statements = [gap(slot._scene(), before, UNLISTED)]
    slot._publish()
    assert len(simulation.changes()) == 2
    assert not [event for event in simulation.control() if event.kind is ControlKind.GAP]
    assert slot.positions[reader.shard].state is ShardState.READING
    assert slot._dirty


def test_what_concludes_about_a_shard_waits_for_its_pages_only() -> None:
    """A gap or an end of another shard, or a plain record of this one, is said at once."""
    position = Position("b", ARN, ShardState.READING)
    lost, plain = gap(scene(), position, UNLISTED), Statement(position=position)
    held = gap(scene(fail_on_gap=True), position, TRIMMED_AFTER)
    assert concludes(lost, {"b"})
    assert concludes(held, {"b"})
    assert not concludes(lost, {"c"})
    assert not concludes(plain, {"b"})
    assert not concludes(Statement(retired="b"), {"b"})


def test_errors_leave_a_suspicion_as_it_is() -> None:
    """A throttled answer at the trim horizon decides nothing; going back to what is saved begins anew."""
    reader = reader_of(Position("b", ARN, ShardState.READING, sequence=7))
    reader.look_at_the_rest(TRIMMED_AFTER)
    reader.take(Answer("b", reader._turn, 1, None, RetryableError("no", hint=""), from_horizon=True))
    assert reader.suspicion == TRIMMED_AFTER
    reader.rewind(reader.saved)
    assert reader.suspicion == ""
