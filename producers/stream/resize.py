"""Another number of slots: all positions into a new version of the positions topic, in one transaction.

The order keeps every old worker out, whenever it wakes up:

1. The resize's own transactional id is taken: an earlier resize that hangs is fenced, and what it left open is aborted.
2. Every slot's id is taken, which fences its owner and aborts what that left open, and under that id ``@moved`` is
   written into the slot. A worker that takes the slot later reads that first, and stops.
3. So the slots are final. They are read to behind a mark, and written to the new topic, each record to the slot that
   its shard has there, with ``@complete``, in one transaction.

A crash before the end of 3 leaves a topic that nobody takes for the feed's, and slots that nobody may take: running it
again goes on from there. A crash after it leaves nothing to do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from confluent_kafka import KafkaException

from connectors.kafka import KafkaClients, error_of
from producers.stream.kafka_log import KafkaLog, KafkaSlotLog
from producers.stream.ports import BatchAbortedError, SlotLostError
from producers.stream.positions_topic import (
    COMPLETE_KEY,
    MOVED_KEY,
    PositionsTopic,
    find_positions,
    list_versions,
    marker,
)
from producers.stream.settings import ProducerSettings
from schemas.errors import ConfigError, FatalError, FeedError, RetryableError
from schemas.position import BASELINE_KEY, SLOT_KEY, SlotRecord, slot_of

ID_SUFFIX: Final = ".slots-resize"
"""Of the transactional id, behind the feed's name."""

COPY_TIMEOUT_MS: Final = 60_000
"""How long the copy's transaction may last; a resize that died in it holds nobody back, since nobody reads there."""

Records = Mapping[bytes, bytes]

_log = logging.getLogger(__name__)
_AGAIN = "nothing is lost: run `feed slots resize` again; until it has finished no producer of the feed can start"


@dataclass(frozen=True, slots=True)
class Resized:
    """What was done."""

    before: PositionsTopic
    after: PositionsTopic
    records: int
    """Records that were copied; 0 when there was nothing to do."""


def plan_resize(slots: Sequence[Records], count: int) -> list[dict[bytes, bytes]]:
    """The records of ``count`` new slots, from those of the old ones. Pure.

    A shard's position goes where ``crc32`` sends it, the baseline stays in slot 0. Every new slot holds shards of many
    old ones, so its own record states what all of them have: the oldest of their listings.

    Raises:
        ConfigError: the slots do not publish under one epoch and stream yet.
        FatalError: there is a record that this version does not know.
    """
    planned: list[dict[bytes, bytes]] = [{} for _ in range(count)]
    for records in slots:
        for key, value in records.items():
            if key in (SLOT_KEY, MOVED_KEY, COMPLETE_KEY):
                continue
            if key.startswith(b"@") and key != BASELINE_KEY:
                raise FatalError(
                    f"the positions topic has a record {key!r} that this version does not know",
                    hint="a newer version of the feed wrote it: resize with that",
                )
            planned[0 if key == BASELINE_KEY else slot_of(key.decode(), count)][key] = value
    if (record := _record_of_all(slots)) is not None:
        for records in planned:
            records[SLOT_KEY] = record.to_json()
    return planned


def _record_of_all(slots: Sequence[Records]) -> SlotRecord | None:
    """What every old slot has taken in; None for a feed that has not begun."""
    found = [SlotRecord.from_json(records[SLOT_KEY]) for records in slots if SLOT_KEY in records]
    if not found and not any(records.keys() - {MOVED_KEY, COMPLETE_KEY} for records in slots):
        return None
    if len(found) < len(slots) or len({(record.epoch, record.stream) for record in found}) != 1:
        raise ConfigError(
            "the slots do not publish under one epoch yet: a first start, a snapshot or a new stream is not through",
            hint="start the producer, wait until `feed slots show` has the same epoch for every slot, then resize",
        )
    return replace(found[0], listed_at_ms=min(record.listed_at_ms for record in found))


class Resize:
    """One resize of a feed's slots, to be run while no producer of it runs."""

    def __init__(
        self,
        clients: KafkaClients,
        feed: str,
        settings: ProducerSettings,
        *,
        create: Callable[[PositionsTopic], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._clients, self._feed, self._settings = clients, feed, settings
        self._create, self._now_ms = create, now_ms

    def run(self, slots: int) -> Resized:
        """Bring the feed to ``slots`` slots.

        Raises:
            ConfigError: the slots are in no state to be resized; nothing was changed.
            RetryableError, FatalError: the cluster failed, or another has taken a slot meanwhile; see the hint.
        """
        copier = self._own_id()
        before = find_positions(self._clients, self._feed)
        log = KafkaLog(self._clients, self._feed, self._settings, version=before.version)
        found = [_latest(log.entries(slot)) for slot in range(before.slots)]
        if before.slots == slots and MOVED_KEY not in found[0]:
            return Resized(before, before, 0)
        self._plan(log, found, slots)  # what cannot be planned is refused before anything is changed
        after = self._target(before, slots)
        self._create(after)
        self.seal(log, before, after)
        planned = self._plan(log, [self.final(log, slot) for slot in range(before.slots)], slots)
        self.copy(copier, after, planned)
        return Resized(before, after, sum(len(records) for records in planned))

    def _plan(self, log: KafkaLog, found: Sequence[Records], slots: int) -> list[dict[bytes, bytes]]:
        """The plan; where there can be none, slots that were sealed for it are given back to the producers."""
        try:
            return plan_resize(found, slots)
        except ConfigError:
            for slot, records in enumerate(found):
                if MOVED_KEY in records:
                    self.seal_slot(log, slot, None)
            raise

    def _own_id(self) -> KafkaSlotLog:
        producer = self._clients.transactional_producer(self._feed + ID_SUFFIX, transaction_timeout_ms=COPY_TIMEOUT_MS)
        try:
            producer.init_transactions(self._settings.init_timeout_ms / 1_000)
        except KafkaException as error:
            raise error_of(error.args[0], "starting the resize") from error
        return KafkaSlotLog(producer, -1, self._settings)

    def _target(self, before: PositionsTopic, slots: int) -> PositionsTopic:
        """The next version: one that does not exist, or that an unfinished resize to as many slots has left."""
        counts = {topic.version: topic.slots for topic in list_versions(self._clients, self._feed)}
        version = before.version + 1
        while counts.get(version, slots) != slots:
            version += 1
        return PositionsTopic(self._feed, version, slots)

    def seal(self, log: KafkaLog, before: PositionsTopic, after: PositionsTopic) -> None:
        """Take every slot, and write in it where the positions go. Slot 0 comes first."""
        for slot in range(before.slots):
            self.seal_slot(log, slot, marker(after, self._now_ms()))

    def seal_slot(self, log: KafkaLog, slot: int, value: bytes | None) -> None:
        """Take one, and write where its positions go; None: they stay."""
        try:
            taken = log.take(slot)
            taken.begin()
            taken.save(MOVED_KEY, value, self._now_ms())
            taken.commit()
        except (BatchAbortedError, SlotLostError) as error:
            raise _interrupted(error) from error

    def final(self, log: KafkaLog, slot: int) -> Records:
        """All of a sealed slot: its mark is written by the one that sealed it, so nobody wrote since."""
        try:
            return _latest(log.entries(slot))
        except (BatchAbortedError, SlotLostError) as error:
            raise _interrupted(error) from error

    def copy(self, copier: KafkaSlotLog, after: PositionsTopic, planned: Sequence[Records]) -> None:
        """Everything at once, or nothing."""
        try:
            copier.begin()
            for slot, records in enumerate(planned):
                for key, value in records.items():
                    copier.publish(after.name, key, value, [], self._now_ms(), partition=slot)
            copier.publish(after.name, COMPLETE_KEY, marker(after, self._now_ms()), [], self._now_ms(), partition=0)
            copier.commit()
        except (BatchAbortedError, SlotLostError) as error:
            raise _interrupted(error) from error
        _log.info("slots resized feed=%s topic=%s slots=%d", self._feed, after.name, after.slots)


def _latest(entries: Sequence[tuple[bytes, bytes | None]]) -> dict[bytes, bytes]:
    return {key: value for key, value in entries if value is not None}


def _interrupted(error: FeedError) -> RetryableError:
    return RetryableError(f"the resize was interrupted: {error}", hint=_AGAIN)
