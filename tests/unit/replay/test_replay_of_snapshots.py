"""The end of a snapshot in a replay: behind its rows, only where the range has them all, and gone on with after a kill.

Retention that deletes a marker deletes the sweep of its snapshot with it, so a replay must bring both.
"""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pytest

from consumers.columns import SCHEMA, Declared
from producers.replay import Counts, Selection, Sending, Sorter, gather, only_changes
from producers.replay.rows import END_OF_SNAPSHOT
from schemas.control import ControlEvent, ControlKind
from schemas.marker import SnapshotMarker, marker_headers, marker_of
from schemas.partitioner import partition_of_key
from schemas.replay import NO_OFFSET, ReplayMarker
from schemas.replay import marker_of as replay_marker_of
from tests.unit.replay.archived import START_MS, Archived, Died, Topic, table_of

PARTITIONS = 2
EPOCH = 3
KEYS = [f"o-{n}" for n in range(12)]
BEGIN = ReplayMarker("begin", "r", START_MS, START_MS + 10**6, "", NO_OFFSET, 0, epochs=(EPOCH,))
RANGE = Selection(START_MS, START_MS + 10**6, epochs=frozenset({EPOCH}))


def ends(*, partitions: int = PARTITIONS, at_ms: int = START_MS + 5_000) -> pa.Table:
    """The markers as the archive has them: neither key nor value, nor anything but headers."""
    rows = []
    for number in range(partitions):
        marker = SnapshotMarker(EPOCH, number, partitions, at_ms)
        headers = [{"name": name, "value": value} for name, value in marker_headers(marker, "urn:dynamodb:eu:orders")]
        rows.append({"offset": number, "timestamp_ms": at_ms, "timestamp_type": 1, "headers": headers})
        rows[-1]["event_id"] = marker.event_id
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def archive() -> list[pa.Table]:
    """Changes of the epoch, some of which were published before the end; the end; rows; changes of the epoch before."""
    after = [Archived(key, n + 1, epoch=EPOCH, ordinal=n, at_ms=START_MS + 3_000) for n, key in enumerate(KEYS[:4])]
    rows = [Archived(key, 0, epoch=EPOCH, shard="snapshot-3-0", ordinal=n, op="r") for n, key in enumerate(KEYS)]
    before = [Archived(key, n + 90, epoch=EPOCH - 1, shard="shardId-0", ordinal=n) for n, key in enumerate(KEYS)]
    return [table_of(after), ends(), table_of(rows), table_of(before)]


def send(topic: Topic, folder: Path, *, selection: Selection = RANGE, die_at: int = 0, batch: int = 3) -> Counts:
    """One run of the command's middle: gather, order, send; killed before its n-th commit, or to its end."""
    state = topic.state()
    folder.mkdir()
    counts, left = Counts(PARTITIONS), [die_at]

    def at(point: str) -> None:
        if point == "before-commit":
            left[0] -= 1
            if not left[0]:
                raise Died

    sorter = Sorter(folder, memory_bytes=2**20, spill_bytes=2**30)
    gather(archive(), selection, sorter, counts=counts, after="" if state is None else state.place)
    sending = Sending(
        topic, "r", [0] * PARTITIONS if state is None else list(state.counts), batch_records=batch, rate_per_s=10**6,
        clock_s=time.monotonic, sleep=lambda _: None, progress=lambda _: None, at=at,
    )  # fmt: skip
    if state is None:
        sending.begin([BEGIN] * PARTITIONS)
    sending.send(sorter.ordered())
    sending.end([BEGIN] * PARTITIONS)
    return counts


def ops(topic: Topic, partition: int) -> list[str]:
    """What is in a partition between its markers: op and epoch of changes, ``end`` for the end of the snapshot."""
    found = []
    for key, value, headers in topic.records[partition][1:-1]:
        said = dict(headers)
        if (marker := marker_of(key, value, headers)) is not None:
            assert marker.partition == partition
            found.append("end")
        else:
            found.append(said["ce_type"].decode()[-1] + said["ce_epoch"].decode())
    return found


def test_the_end_stands_behind_the_rows_and_before_the_changes_of_its_epoch(tmp_path: Path) -> None:
    """In each partition its own marker, whatever object it lay in; counted apart from changes."""
    topic = Topic(PARTITIONS)
    counts = send(topic, tmp_path / "s")
    for number in range(PARTITIONS):
        rows = sum(partition_of_key(key.encode(), PARTITIONS) == number for key in KEYS)
        changes = sum(partition_of_key(key.encode(), PARTITIONS) == number for key in KEYS[:4])
        assert ops(topic, number) == ["u2"] * rows + ["r3"] * rows + ["end"] + ["u3"] * changes
    assert counts.by_op == {"u": 16, "r": 12, END_OF_SNAPSHOT: 2}
    assert counts.no_changes == 0


@pytest.mark.parametrize("die_at", range(1, 11))
def test_a_kill_at_any_commit_brings_each_end_once(tmp_path: Path, die_at: int) -> None:
    """Also when the last record before the kill is the end itself: its place tells where to go on."""
    whole, killed = Topic(PARTITIONS), Topic(PARTITIONS)
    send(whole, tmp_path / "whole")
    with pytest.raises(Died):
        send(killed, tmp_path / "first", die_at=die_at, batch=1 + die_at % 3)
    send(killed, tmp_path / "second")
    for number in range(PARTITIONS):
        assert killed.records[number] == whole.records[number]


def test_an_end_whose_snapshot_the_range_lacks_is_left_out(tmp_path: Path) -> None:
    """Rows that the replay does not bring would be swept: no marker, and it is counted as left out."""
    topic = Topic(PARTITIONS)
    counts = send(topic, tmp_path / "s", selection=Selection(RANGE.from_ms, RANGE.to_ms))
    assert counts.no_changes == 2
    assert all("end" not in ops(topic, number) for number in range(PARTITIONS))


def test_an_end_of_another_number_of_partitions_is_left_out() -> None:
    """Its partition's rows go to several of the replay now, and there is no order between those."""
    counts = Counts(PARTITIONS)
    gather([ends(partitions=3)], RANGE, None, counts=counts, after="")
    assert (counts.records, counts.no_changes) == (0, 3)


def test_with_gaps_accepted_no_end_is_sent(tmp_path: Path) -> None:
    """What is known only when all is gathered: the ends are filtered out again."""
    sorter = Sorter(tmp_path, memory_bytes=2**20, spill_bytes=2**30)
    gather(archive(), RANGE, sorter, counts=Counts(PARTITIONS), after="")
    assert sum(rows.num_rows for rows in only_changes(sorter.ordered())) == 28


def test_a_replay_says_which_snapshots_it_has() -> None:
    """In its begin markers, so that whoever goes on with it chooses the same; without any they are as they were."""
    assert replay_marker_of(BEGIN.headers()) == BEGIN
    plain = ReplayMarker("begin", "r", 1, 2, "", 7, 3)
    assert replay_marker_of(plain.headers()) == plain
    assert b"epochs" not in plain.headers()[1][1]


def test_when_a_snapshot_began_is_told_by_the_first_slot_that_published_under_it() -> None:
    """The scan starts after every slot has said so."""
    declared = Declared()
    for at_ms in (START_MS + 9, START_MS + 5, START_MS + 7):
        declared.take(ControlEvent(ControlKind.EPOCH, "orders", at_ms, epoch=EPOCH))
    assert declared.epochs == {EPOCH: START_MS + 5}
