"""How fast a flow copies, seen from the topics alone: what came into the copy during some seconds.

Transactions are counted by what they leave behind: each puts one mark into the topic of source offsets, and a mark
takes an offset that no reader is given. Records that only a reader of uncommitted records is given were aborted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, TopicPartition

from connectors.kafka import KafkaClients, error_of
from mirrormaker.render.names import Names
from mirrormaker.topology import Flow
from schemas.errors import RetryableError

ASK_WITHIN_S = 20.0
MOST_RECORDS = 50_000
"""Records that one measurement reads; a flow that is faster is said to be at least that fast."""
_END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's own codes have no other name

Marks = dict[tuple[str, int], int]


@dataclass(frozen=True)
class Pace:
    """What came in a stretch of time.

    Attributes:
        seconds: how long it was.
        records: committed copies, of all topics of the flow.
        bytes: of them: keys, values, headers.
        transactions: that ended, committed or aborted.
        aborted: source offsets that were written in vain, one for each partition of an aborted transaction.
        is_bound: there were more records than were read.
    """

    seconds: float
    records: int
    bytes: int
    transactions: int
    aborted: int
    is_bound: bool = False


def measure_pace(
    flow: Flow,
    names: Names,
    *,
    target: KafkaClients,
    seconds: float,
    sleep: Callable[[float], None],
    now_ms: Callable[[], int],
) -> Pace:
    """Wait for ``seconds`` and read what came meanwhile.

    Raises:
        FeedError: the cluster does not answer within its bound, or refuses.
    """
    committed, all_records = target.reader(), target.reader(**{"isolation.level": "read_uncommitted"})
    offsets = names.worker_topics[0]
    try:
        before, before_ms = _ends(committed, (*flow.topics, offsets)), now_ms()
        sleep(seconds)
        after, after_ms = _ends(committed, (*flow.topics, offsets)), now_ms()
        copies = _read(committed, _only(before, flow.topics), after, now_ms)
        written = _read(all_records, _only(before, (offsets,)), after, now_ms)
        kept = _read(committed, _only(before, (offsets,)), after, now_ms)
    finally:
        committed.close()
        all_records.close()
    advanced = sum(after[place] - begin for place, begin in _only(before, (offsets,)).items())
    return Pace(
        seconds=(after_ms - before_ms) / 1000,
        records=len(copies),
        bytes=sum(copies),
        transactions=advanced - len(written),
        aborted=len(written) - len(kept),
        is_bound=len(copies) >= MOST_RECORDS,
    )


def _only(marks: Marks, topics: Iterable[str]) -> Marks:
    wanted = set(topics)
    return {place: mark for place, mark in marks.items() if place[0] in wanted}


def _ends(reader: Consumer, topics: Iterable[str]) -> Marks:
    known = reader.list_topics(timeout=ASK_WITHIN_S).topics
    return {
        (topic, number): reader.get_watermark_offsets(TopicPartition(topic, number), timeout=ASK_WITHIN_S)[1]
        for topic in topics
        if topic in known
        for number in known[topic].partitions
    }


def _read(reader: Consumer, begin: Marks, end: Marks, now_ms: Callable[[], int]) -> list[int]:
    """Sizes of the records between two marks, at most ``MOST_RECORDS``."""
    moved = {place: mark for place, mark in begin.items() if end[place] > mark}
    if not moved:
        return []
    reader.assign([TopicPartition(topic, number, mark) for (topic, number), mark in moved.items()])
    sizes: list[int] = []
    open_places = set(moved)
    deadline_ms = now_ms() + round(ASK_WITHIN_S * 1000)
    while open_places and len(sizes) < MOST_RECORDS:
        if now_ms() > deadline_ms:
            raise RetryableError("The copies were not read within the bound.", hint="The cluster is slow; ask again.")
        for message in reader.consume(500, 0.2):
            place = (message.topic() or "", message.partition() or 0)
            error = message.error()
            if error is not None and error.code() != _END_OF_PARTITION:
                raise error_of(error, f"reading {place[0]}/{place[1]}")
            if error is not None or (message.offset() or 0) >= end[place] - 1:
                open_places.discard(place)
            if error is None and (message.offset() or 0) < end[place]:
                headers = message.headers() or ()
                pairs = headers.items() if isinstance(headers, dict) else headers
                sizes.append(len(message) + len(message.key() or b"") + sum(len(n) + len(v or b"") for n, v in pairs))
    return sizes
