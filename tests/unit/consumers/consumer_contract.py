"""What the runtime promises, as tests that run against memory and against a real cluster alike."""

from __future__ import annotations

from consumers.runtime.contracts import NotYetError
from feed.testing import until
from schemas.errors import FatalError
from tests.unit.consumers.contract_parts import (
    AWAY,
    FAST,
    WAIT_S,
    Batches,
    Recorder,
    Rig,
    Running,
    Writer,
    decode,
    value_of,
    written_at,
)

__all__ = [
    "AWAY",
    "FAST",
    "WAIT_S",
    "Batches",
    "ConsumerContract",
    "Recorder",
    "Rig",
    "Running",
    "Writer",
    "decode",
    "value_of",
    "written_at",
]


class ConsumerContract:
    """Derive it and give a ``rig`` fixture."""

    def test_new_group_starts_at_the_earliest_and_commits_that(self, rig: Rig) -> None:
        """A group without commits begins at the earliest record, handles everything and commits up to the end."""
        for n in range(5):
            rig.put("a", value_of("a", n))
        sink = Recorder()
        with Running(rig, sink) as running:
            until(lambda: len(sink.seen) == 5, "five records")
            until(lambda: rig.committed() == rig.end(), "a commit up to the end")
            until(lambda: rig.committed(1) == 0, "a commit of the empty partition, too")
            until(lambda: running.metric("feed_consumer_records_total", sink="recorder", partition="0") == 5, "metric")
        assert running.error is None
        assert sink.of("a") == [0, 1, 2, 3, 4]

    def test_goes_on_after_a_restart(self, rig: Rig) -> None:
        """A graceful stop commits what was done, so that the next member sees only what is new."""
        rig.put("a", value_of("a", 0))
        first, second = Recorder(), Recorder()
        with Running(rig, first):
            until(lambda: first.seen, "the first record")
        rig.put("a", value_of("a", 1))
        with Running(rig, second):
            until(lambda: second.seen, "the second record")
        assert first.seen == [("a", 0)]
        assert second.seen == [("a", 1)]

    def test_markers_are_passed(self, rig: Rig) -> None:
        """The commit passes a transaction's marker, so that a lag of zero is told as zero."""
        for n in range(3):
            rig.put_in_transaction("a", value_of("a", n))
        sink = Recorder()
        with Running(rig, sink):
            until(lambda: len(sink.seen) == 3, "three records")
            until(lambda: rig.committed() == rig.end(), "a commit behind the last marker")
        assert rig.end() == 6

    def test_poison_goes_to_the_dead_letters_and_the_next_flows(self, rig: Rig) -> None:
        """One poison record is kept whole with its reason, once; its neighbours are handled in order."""
        rig.put("a", value_of("a", 0))
        rig.put("a", b"poison")
        rig.put("a", value_of("a", 2))
        sink = Recorder()
        with Running(rig, sink):
            until(lambda: sink.of("a") == [0, 2], "the records around the poison")
            until(lambda: rig.committed() == rig.end(), "a commit past the poison")
        (letter,) = rig.dead_letters()
        headers = dict(letter.headers() or [])
        assert (letter.key(), letter.value()) == (b"a", b"poison")
        assert headers["__connect.errors.topic"] == rig.topic.encode()
        assert headers["__connect.errors.partition"] == b"0"
        assert headers["__connect.errors.offset"] == b"1"
        assert headers["__connect.errors.exception.class.name"] == b"PoisonError"
        assert headers["__connect.errors.attempt"] == b"1"
        assert headers["kept"] == b"header"

    def test_tombstone_is_passed_over(self, rig: Rig) -> None:
        """A record without a value carries no change: it is counted and passed over, not refused."""
        rig.put("a", None)
        rig.put("a", value_of("a", 1))
        sink = Recorder()
        with Running(rig, sink) as running:
            until(lambda: sink.seen == [("a", 1)], "the record behind the tombstone")
            until(lambda: rig.committed() == rig.end(), "a commit past it")
        assert running.metric("feed_consumer_passed_over_total", sink="recorder", reason="tombstone") == 1
        assert rig.dead_letters() == []

    def test_a_failing_key_waits_alone_and_in_order(self, rig: Rig) -> None:
        """A key whose effect fails is parked, its later records wait in order, others go on; no commit passes it."""
        sink = Recorder(failing={"bad": AWAY})
        for n in range(3):
            rig.put("bad", value_of("bad", n))
            rig.put("good", value_of("good", n))
        with Running(rig, sink) as running:
            until(lambda: sink.of("good") == [0, 1, 2], "the good key")
            until(lambda: sink.tries >= 6, "tries of the bad key")
            assert rig.committed() in (None, 0)
            until(
                lambda: running.metric("feed_consumer_parked_keys", sink="recorder", partition="0") == 1, "parked key"
            )
            sink.failing.clear()
            until(lambda: sink.of("bad") == [0, 1, 2], "the bad key once it works")
            until(lambda: rig.committed() == rig.end(), "a commit of everything")
        assert rig.dead_letters() == []
        assert len(sink.seen) == 6

    def test_a_later_record_of_a_parked_key_never_overtakes(self, rig: Rig) -> None:
        """Records that would work wait behind one of their key that does not, also those that are fetched later."""
        sink = Recorder(failing_numbers={0})
        rig.put("a", value_of("a", 0))
        with Running(rig, sink):
            until(lambda: sink.tries >= 2, "tries of the first record")
            for n in range(1, 4):
                rig.put("a", value_of("a", n))
                rig.put("b", value_of("b", n))
            until(lambda: sink.of("b") == [1, 2, 3], "the other key")
            assert sink.of("a") == []
            sink.failing_numbers.clear()
            until(lambda: sink.of("a") == [0, 1, 2, 3], "the parked key, in order")
            until(lambda: rig.committed() == rig.end(), "a commit of everything")

    def test_a_record_that_comes_too_early_waits_alone_and_is_no_failure(self, rig: Rig) -> None:
        """In line and in flight alike: its key waits until the time it names, others go on, and no retry is counted."""
        for in_flight in (1, 2):
            sink = Recorder(failing={"early": NotYetError(0)})
            for n in range(3):
                rig.put("early", value_of("early", n))
                rig.put("other", value_of("other", n))
            with Running(rig, sink, in_flight=in_flight) as running:
                until(lambda: sink.of("other") == [0, 1, 2], "the other key")  # noqa: B023 (used within its round)
                until(lambda: sink.tries >= 6, "asked again")  # noqa: B023 (as above)
                sink.failing.clear()
                until(lambda: sink.of("early") == [0, 1, 2], "the early key")  # noqa: B023 (as above)
                until(lambda: rig.committed() == rig.end(), "a commit of everything")
            retries = running.metric("feed_consumer_retries_total", sink="recorder", error="NotYetError")
            assert retries == 0

    def test_a_stop_finishes_what_is_in_flight_and_starts_nothing(self, rig: Rig) -> None:
        """Stopping with a backlog ends within the time of one effect; what was done is committed, the rest is not."""
        for n in range(200):
            rig.put(f"k{n}", value_of(f"k{n}", n))
        sink = Recorder(delay_s=0.1)
        with Running(rig, sink, in_flight=2) as running:
            until(lambda: len(sink.seen) >= 4, "some effects")
            running.stop_event.set()
            tries = sink.tries
            running.stop()
        assert sink.tries <= tries + 4
        assert len(sink.seen) == sink.tries
        assert rig.committed() == len(sink.seen)

    def test_an_outage_only_waits(self, rig: Rig) -> None:
        """With the dependency down for every key there are few tries, no dead letter, and full recovery in order."""
        sink = Recorder(all_failing=AWAY)
        for n in range(200):
            rig.put(f"k{n % 40}", value_of(f"k{n % 40}", n))
        with Running(rig, sink, outage_after=4, retry_base_ms=20, retry_cap_ms=50):
            until(lambda: sink.tries >= 8, "some tries")
            assert rig.committed() in (None, 0)
            sink.all_failing = None
            until(lambda: len(sink.seen) == 200, "every record after the outage")
            until(lambda: rig.committed() == rig.end(), "a commit of everything")
        for key in {key for key, _ in sink.seen}:
            assert sink.of(key) == sorted(sink.of(key))
        assert rig.dead_letters() == []

    def test_a_stalled_partition_makes_health_red(self, rig: Rig) -> None:
        """A partition with lag and no commit for the set time is red with the reason, and green once it moves."""
        sink = Recorder(failing={"a": AWAY})
        with Running(rig, sink, stall_after_ms=300) as running:
            rig.put("a", value_of("a", 0))
            # on a busy machine the loop itself may stand still for as long: that is told as well, under another name
            said = until(lambda: f"RED {rig.group}[0] stall" in (text := running.health()) and text, "red health")
            assert said.startswith("503")
            assert "1 keys parked" in said
            assert running.metric("feed_consumer_lag_records", sink="recorder", partition="0") == 1
            assert running.metric("feed_consumer_lag_seconds", sink="recorder", partition="0") > 0.2
            sink.failing.clear()
            until(lambda: running.health().startswith("200"), "green health")
            until(lambda: running.metric("feed_consumer_lag_records", sink="recorder", partition="0") == 0, "no lag")
            assert running.metric("feed_consumer_lag_seconds", sink="recorder", partition="0") == 0

    def test_a_loop_that_stands_still_makes_health_red(self, rig: Rig) -> None:
        """An effect that does not return holds the loop: that is told as a stop, not as lag, and ends with it."""
        sink = Recorder(delay_s=1.5)
        with Running(rig, sink, stall_after_ms=300) as running:
            rig.put("a", value_of("a", 0))
            until(lambda: f"RED {rig.group} stop: the sink has not answered" in running.health(), "red health")
            until(lambda: running.health().startswith("200"), "green health")

    def test_several_in_flight_keep_the_order_of_each_key(self, rig: Rig) -> None:
        """Sixteen keys in flight overlap, and each key's records are handled one after the other, in order, once."""
        sink = Recorder(delay_s=0.005)
        for n in range(320):
            rig.put(f"k{n % 20}", value_of(f"k{n % 20}", n), partition=n % 2)
        with Running(rig, sink, in_flight=16) as running:
            until(lambda: len(sink.seen) == 320, "every record")
            until(lambda: rig.committed() == rig.end() and rig.committed(1) == rig.end(1), "commits")
            assert running.metric("feed_reaction_seconds_count", sink="recorder") == 320
        assert sorted(number for _, number in sink.seen) == list(range(320))
        for n in range(20):
            assert sink.of(f"k{n}") == sorted(sink.of(f"k{n}"))
        assert 8 < sink.most_working <= 16

    def test_a_partition_that_was_paused_when_taken_away_is_fetched_again(self, rig: Rig) -> None:
        """Paused at a bound, handed to another member and back: it is not left paused, and its lag follows the end."""
        for n in range(30):
            rig.put(f"p{n % 2}", value_of(f"p{n % 2}", n), partition=n % 2)
        first, second = Recorder(all_failing=AWAY), Recorder(name="second", all_failing=AWAY)
        with Running(rig, first, max_held_records=5, fetch_records=5) as one:
            until(lambda: all(one.metric("feed_consumer_paused", sink="recorder", partition=p) for p in "01"), "pauses")
            for n in range(30, 40):
                rig.put(f"p{n % 2}", value_of(f"p{n % 2}", n), partition=n % 2)
            until(lambda: one.metric("feed_consumer_lag_records", sink="recorder", partition="0") == 20, "lag in full")
            with Running(rig, second) as two:
                until(
                    lambda: two.metric("feed_consumer_rebalances_total", sink="second", kind="assigned") >= 1, "a share"
                )
            first.all_failing = None
            until(lambda: len(first.seen) == 40, "everything")
            until(lambda: rig.committed() == rig.end() and rig.committed(1) == rig.end(1), "commits of everything")
            assert all(one.metric("feed_consumer_paused", sink="recorder", partition=p) == 0 for p in "01")
        for key in ("p0", "p1"):
            assert first.of(key) == sorted(first.of(key))

    def test_a_poison_flood_stops(self, rig: Rig) -> None:
        """More poison than the limit stops the consumer with the share in its message; what follows stays unread."""
        for _ in range(50):
            rig.put("a", b"poison")
        sink = Recorder()
        running = Running(rig, sink, poison_at_least=10, poison_share=0.5)
        error = running.failed()
        assert isinstance(error, FatalError)
        assert "10 of the last 10 records were poison" in str(error)
        assert len(rig.dead_letters()) == 10

    def test_a_fault_in_the_sink_is_fatal(self, rig: Rig) -> None:
        """An error that is none of ours stops the consumer, names the record, and commits nothing."""
        rig.put("a", value_of("a", 0))
        running = Running(rig, Recorder(failing={"a": KeyError("status")}), commit_interval_ms=60_000)
        error = running.failed()
        assert isinstance(error, FatalError)
        assert "KeyError('status')" in str(error)
        assert "[0]@0" in str(error)
        assert rig.committed() in (None, 0)

    def test_commit_out_of_range_is_a_gap(self, rig: Rig) -> None:
        """A committed offset that retention has deleted stops the consumer: it says the gap, and `feed replay`."""
        for n in range(10):
            rig.put("a", value_of("a", n))
        rig.commit(0, 3)
        rig.trim(0, 7)
        error = Running(rig, Recorder()).failed()
        assert isinstance(error, FatalError)
        assert "is at offset 3, but the topic begins at 7" in str(error)
        assert "feed replay" in error.hint
        assert rig.committed() == 3

    def test_commit_behind_the_end_is_a_topic_made_anew(self, rig: Rig) -> None:
        """A committed offset behind the end stops the consumer instead of resetting it."""
        rig.put("a", value_of("a", 0))
        rig.commit(0, 5)
        error = Running(rig, Recorder()).failed()
        assert "made anew" in str(error)
        assert rig.committed() == 5

    def test_batches_commit_only_what_is_durable(self, rig: Rig) -> None:
        """The commit follows the writer's durable offset; a graceful stop flushes and commits the rest."""
        for n in range(25):
            rig.put("a", value_of("a", n))
        sink = Batches(size=10)
        with Running(rig, sink):
            until(lambda: rig.committed() == 20, "a commit of two full batches")
            until(lambda: sink.ticks > 1, "ticks")
        assert [offset for _, offset, _ in sink.stored] == list(range(25))
        assert rig.committed() == 25
        assert sorted(sink.closed) == [0, 1]

    def test_a_batch_that_fails_is_given_again(self, rig: Rig) -> None:
        """While a writer fails its partition waits; afterwards every record is stored once, in order."""
        for n in range(30):
            rig.put("a", value_of("a", n))
        sink = Batches(size=1, failing=AWAY)
        with Running(rig, sink) as running:
            until(lambda: running.metric("feed_consumer_paused", sink="batches", partition="0") == 1, "a pause")
            sink.failing = None
            until(lambda: len(sink.stored) == 30, "every record")
            until(lambda: rig.committed() == rig.end(), "a commit of everything")
            until(lambda: running.metric("feed_consumer_paused", sink="batches", partition="0") == 0, "going on")
        assert [offset for _, offset, _ in sink.stored] == list(range(30))

    def test_poison_in_a_batch_is_found(self, rig: Rig) -> None:
        """The one record that a writer refuses goes to the dead letters; its batch is stored without it, once."""
        for n in range(9):
            rig.put("a", b"poison" if n == 4 else value_of("a", n))
        sink = Batches(size=1)
        with Running(rig, sink):
            until(lambda: rig.committed() == rig.end(), "a commit of everything")
        assert [offset for _, offset, _ in sink.stored] == [0, 1, 2, 3, 5, 6, 7, 8]
        assert [letter.value() for letter in rig.dead_letters()] == [b"poison"]

    def test_a_sink_with_its_own_ledger_says_where_to_read(self, rig: Rig) -> None:
        """What ``open`` returns is read from, whatever Kafka's commit says; a sink that cannot open is asked again."""
        for n in range(10):
            rig.put("a", value_of("a", n))
        rig.commit(0, 2)
        sink = Batches(size=1, start=lambda committed: 6 if committed == 2 else committed, open_failing=[AWAY])
        with Running(rig, sink):
            until(lambda: len(sink.stored) == 4, "the records from the ledger's offset on")
        assert [offset for _, offset, _ in sink.stored] == [6, 7, 8, 9]
        assert (0, 2) in sink.opened

    def test_a_rebalance_hands_over_without_loss(self, rig: Rig) -> None:
        """When a second member joins and leaves, every record is handled in order, and none twice: revoke commits."""
        first, second = Recorder(), Recorder(name="second")
        with Running(rig, first, in_flight=4) as one:
            for n in range(20):
                rig.put(f"p{n % 2}", value_of(f"p{n % 2}", n), partition=n % 2)
            until(lambda: len(first.seen) == 20, "the first records")
            with Running(rig, second):
                until(
                    lambda: one.metric("feed_consumer_rebalances_total", sink="recorder", kind="revoked") >= 1, "revoke"
                )
                for n in range(20, 60):
                    rig.put(f"p{n % 2}", value_of(f"p{n % 2}", n), partition=n % 2)
                until(lambda: len(first.seen) + len(second.seen) >= 60, "records of both members")
                assert second.seen, "the second member got nothing"
            for n in range(60, 80):
                rig.put(f"p{n % 2}", value_of(f"p{n % 2}", n), partition=n % 2)
            until(lambda: len(first.seen) + len(second.seen) >= 80, "the records after the second left")
        assert sorted(n for _, n in first.seen + second.seen) == list(range(80))
