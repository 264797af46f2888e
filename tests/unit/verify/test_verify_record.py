"""Records as stored: what is read of them, and that no altered byte gets through."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feed.verify import Judge, Place, Seen, UnreadableRecord, expect
from feed.verify.record import RecordReader, raw_digest
from feed.verify.report import tables
from feed.verify.verdict import Verdict
from feed.workload import WorkloadSettings
from feed.workload.rehearsal import rehearse
from schemas import bundled
from schemas.codec import ChangeCodec
from schemas.headers import headers_of
from schemas.key import key_bytes

CODEC = ChangeCodec.for_image(bundled.load("order"))
RUN = rehearse(WorkloadSettings(rate_per_s=60, seconds=4, lanes=1, delete_share=0.5, burst_share=0.2, pause_ms=200))
EXPECTED = expect(RUN.entries)
RECORDS = [(key_bytes(change.key), CODEC.encode(change), headers_of(change)) for change in RUN.changes(CODEC)]


def verdict_of(records: list) -> Verdict:
    reader, judge = RecordReader(CODEC), Judge(EXPECTED, Place("topic", "eu", bursts=True))
    for number, (key, value, headers) in enumerate(records):
        seen = reader.read(key, value, headers, f"#{number}")
        if isinstance(seen, Seen):
            judge.see(seen)
        else:
            judge.see_unreadable(seen)
    return Verdict(findings=[judge.conclude()], changes=EXPECTED.changes)


def test_records_of_a_run_agree_with_its_ledger() -> None:
    """Encoded and read back, every change is what the ledger says, extra attributes, before-images and deletes
    included."""
    verdict = verdict_of(RECORDS)
    assert verdict.holds, verdict.examples()
    assert verdict.line().startswith("PROMISES HELD: ")


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_no_altered_byte_gets_through(data: st.DataObject) -> None:
    """Any bit of any value changed: the record is altered, unexpected or unreadable, or differs in its digest alone."""
    number = data.draw(st.integers(0, len(RECORDS) - 1))
    key, value, headers = RECORDS[number]
    bit = data.draw(st.integers(0, len(value) * 8 - 1))
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    assert raw_digest(key, bytes(changed), headers) != raw_digest(key, value, headers)
    verdict = verdict_of([*RECORDS[:number], (key, bytes(changed), headers), *RECORDS[number + 1 :]])
    seen = RecordReader(CODEC).read(key, bytes(changed), headers, "")
    original = RecordReader(CODEC).read(key, value, headers, "")
    if isinstance(seen, Seen) and isinstance(original, Seen) and seen._replace(raw=0) == original._replace(raw=0):
        assert verdict.holds  # times of capture and the like are not in the ledger: the regions' digests judge them
    else:
        assert not verdict.holds


@pytest.mark.parametrize("part", ["key", "subject", "ordinal", "event"])
def test_key_headers_and_value_must_agree(part: str) -> None:
    """A record whose key or headers speak of something else than its value is no evidence."""
    key, value, headers = RECORDS[0]
    names = {"subject": "ce_subject", "ordinal": "ce_ordinal", "event": "ce_id"}
    if part == "key":
        key += b"x"
    else:
        headers = [(name, content + b"7" if name == names[part] else content) for name, content in headers]
    assert isinstance(RecordReader(CODEC).read(key, value, headers, ""), UnreadableRecord)


def test_an_empty_value_and_lost_headers_are_unreadable() -> None:
    """Tombstones and records without headers are counted as unexpected, not passed over."""
    key, value, _ = RECORDS[0]
    assert isinstance(RecordReader(CODEC).read(key, None, [], ""), UnreadableRecord)
    verdict = verdict_of([*RECORDS, (key, value, [])])
    assert verdict.totals()["unexpected"] == 1


def test_a_verdict_about_nothing_is_not_a_good_one() -> None:
    """No place read, a place that could not be read, or a dead letter: the promises are not shown to hold."""
    assert not Verdict().holds
    good = verdict_of(RECORDS)
    good.unread.append("us: no broker answers")
    assert not good.holds
    assert "1 places not read" in good.line()
    refused = verdict_of(RECORDS)
    refused.dead_letters.add("orders-dead-letter offset 1")
    assert not refused.holds


def test_the_report_ends_with_the_verdict() -> None:
    """The last thing printed is the verdict's line, and the JSON report carries the same."""
    verdict = verdict_of(RECORDS[1:])
    *_, last = tables(verdict)
    assert str(last) == verdict.line() == verdict.to_report()["line"]
    assert "1 missing" in verdict.line()
