"""The simulation has teeth: bugs that other products shipped, planted again, are caught.

The numbers are those of the list of bugs in docs/testing.md: missed children, early children, and so on. Bugs that no
history can show, because they cost time and not changes, are planted in ``test_planted_rules.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from connectors.dynamodb_streams import IteratorSpec, graph
from feed.testing.simulator import kafka as simulated_kafka
from feed.testing.simulator import streams as simulated_streams
from producers.stream import batch, losses, reader, slot, survey, translate, view
from producers.stream.reader import ShardReader
from producers.stream.survey import Statement
from producers.stream.view import View
from schemas.position import ShardState
from tests.unit.producers.producer_simulation import Simulation
from tests.unit.producers.simulated_worker import BrokenLawError

SEEDS = 200
Patch = Any


class TextNumber(int):
    """A sequence number that compares as text."""

    __slots__ = ()

    def __le__(self, other: int) -> bool:
        return str(int(self)) <= str(int(other))

    def __lt__(self, other: int) -> bool:
        return str(int(self)) < str(int(other))

    def __gt__(self, other: int) -> bool:
        return str(int(self)) > str(int(other))

    __hash__ = int.__hash__


def children_missed(patch: Patch) -> None:
    """1: what is listed after the first listing is not taken in."""
    original = View.observe

    def observe(self: View, listing: Any) -> None:
        known = self.sightings.get(listing.stream)
        if known is not None and known.shards:
            listing = replace(listing, shards={s: x for s, x in listing.shards.items() if s in known.shards})
        original(self, listing)

    patch.setattr(View, "observe", observe)


def children_at_the_tip(patch: Patch) -> None:
    """1: a child starts at what is newest."""
    original = simulated_streams.SimulatedStreams.iterator

    def iterator(self: Any, stream: str, shard: str, spec: IteratorSpec) -> str:
        if spec.kind == "TRIM_HORIZON":
            spec = IteratorSpec("AFTER_SEQUENCE_NUMBER", max(self._sequence, 0))
        return original(self, stream, shard, spec)

    patch.setattr(simulated_streams.SimulatedStreams, "iterator", iterator)


def child_before_parent(patch: Patch) -> None:
    """2: a child is read while its parent is not finished."""
    patch.setattr(slot, "may_read", lambda position, *_: not position.state.terminal)


def first_page_only(patch: Patch) -> None:
    """3: only the first page of shards is seen."""
    original = simulated_streams.SimulatedStreams.list_shards

    def list_shards(self: Any, stream: str) -> Any:
        listing = original(self, stream)
        return replace(listing, shards=dict(list(listing.shards.items())[:3]))

    patch.setattr(simulated_streams.SimulatedStreams, "list_shards", list_shards)
    patch.setattr(View, "shard_ended", lambda *_: None)


def expired_iterator_kept(patch: Patch) -> None:
    """4, 23: an expired iterator is tried again for ever."""
    original = ShardReader._failed

    def failed(self: ShardReader, answer: Any, now: int) -> None:
        token = self._token
        original(self, answer, now)
        if isinstance(answer.error, reader.IteratorExpiredError):
            self._token = token

    patch.setattr(ShardReader, "_failed", failed)


def aged_out_shard_loops(patch: Patch) -> None:
    """5: a shard that aged out is asked for ever."""
    patch.setattr(survey, "conclude", lambda _: iter(()))


def aged_out_shard_finished(patch: Patch) -> None:
    """5: a shard that aged out is quietly taken as finished."""

    def conclude(scene: survey.Scene) -> Iterator[Statement]:
        for shard in scene.refused_since_ms:
            if not scene.own[shard].state.terminal:
                yield Statement(position=replace(scene.own[shard], state=ShardState.FINISHED))

    patch.setattr(survey, "conclude", conclude)


def position_before_delivery(patch: Patch) -> None:
    """6: after an aborted batch reading goes on where it was, not where it was saved."""

    def rewind(self: ShardReader, position: Any) -> None:
        self.saved, self.busy, self.ended = position, False, False

    patch.setattr(ShardReader, "rewind", rewind)


def sequence_as_text(patch: Patch) -> None:
    """7: sequence numbers are compared as text."""
    patch.setattr(batch, "sequence_of", lambda record: TextNumber(translate.sequence_of(record)))


def trimmed_data_skipped(patch: Patch) -> None:
    """8: trimmed data is skipped without an event."""
    original = survey.gap

    def gap(*arguments: Any, **named: Any) -> Statement:
        return replace(original(*arguments, **named), control=())

    for module in (survey, losses):
        patch.setattr(module, "gap", gap)


def old_stream_for_ever(patch: Patch) -> None:
    """12: after the stream was enabled anew, the reader stays on the old one."""
    original = View.saw_status

    def saw_status(self: View, status: Any) -> None:
        if self.status is None:
            original(self, status)

    patch.setattr(View, "saw_status", saw_status)


def no_fencing(patch: Patch) -> None:
    """15, 21: two workers write for one slot, and nobody stops the former one."""
    patch.setattr(simulated_kafka.SimulatedSlotLog, "_check", lambda _: None)


def unreadable_record_dropped(patch: Patch) -> None:
    """16: a record that cannot be read is dropped and its position saved."""
    patch.setattr(batch, "_refuse", lambda *_: None)


def bad_record_blocks(patch: Patch) -> None:
    """17: one bad record blocks its shard."""

    def refuse(*_: Any) -> None:
        raise slot.BatchAbortedError("a bad record", hint="none")

    patch.setattr(batch, "_refuse", refuse)


def error_ends_the_reader(patch: Patch) -> None:
    """18: an error that passes ends the reader for good."""
    original = ShardReader._failed

    def failed(self: ShardReader, answer: Any, now: int) -> None:
        original(self, answer, now)
        self.busy = True

    patch.setattr(ShardReader, "_failed", failed)


def ttl_not_told(patch: Patch) -> None:
    """19: deletes by time-to-live look like any other."""
    patch.setattr(translate, "is_ttl", lambda _: False)


def before_image_lost(patch: Patch) -> None:
    """19: the item before a change is left out."""
    original = translate.translator

    def translator(*arguments: Any, **named: Any) -> Any:
        made = original(*arguments, **named)

        def of(*record: Any) -> Any:
            change = made(*record)
            return replace(change, before=None) if change.after is not None else change

        return of

    patch.setattr(slot, "translator", translator)


def keys_from_the_new_image(patch: Patch) -> None:
    """19: the key is taken from the item after the change, which a delete has not."""
    original = translate.translator

    def translator(*arguments: Any, **named: Any) -> Any:
        made = original(*arguments, **named)

        def of(record: Any, *rest: Any) -> Any:
            image = record["dynamodb"].get("NewImage", {})
            return replace(made(record, *rest), key={name: image[name] for name in ("id",) if name in image})

        return of

    patch.setattr(slot, "translator", translator)


def names_mangled(patch: Patch) -> None:
    """20: attribute names are made fit for something else; two that become the same are one."""
    original = translate._image

    def image(to_image: Any, attributes: Any, which: str) -> Any:
        return original(to_image, {name.replace(".", "_"): value for name, value in attributes.items()}, which)

    patch.setattr(translate, "_image", image)


def finished_shard_read_again(patch: Patch) -> None:
    """22: the record of a finished shard goes while the shard is still listed."""
    patch.setattr(survey, "RETIRE_AFTER_MS", 0)
    patch.setattr(view.Sightings, "unlisted", lambda *_, **__: True)


def empty_page_ends_the_shard(patch: Patch) -> None:
    """An empty answer is taken for the end of the shard."""
    original = simulated_streams.SimulatedStreams.records

    def records(self: Any, token: str, limit: int) -> Any:
        page = original(self, token, limit)
        return page if page.records else replace(page, next_token=None)

    patch.setattr(simulated_streams.SimulatedStreams, "records", records)


def late_first_read_unnoticed(patch: Patch) -> None:
    """A shard first read after a day is taken to have been whole."""
    original = losses.first_look

    def first_look(scene: Any, position: Any, *arguments: Any, **named: Any) -> Any:
        return original(scene, replace(position, since_ms=0), *arguments, **named)

    patch.setattr(slot, "first_look", first_look)


def every_closed_shard_lost_something(patch: Patch) -> None:
    """A gap is called certain because the shard is closed, whatever was read of it."""
    patch.setattr(graph.Shard, "record_after", lambda self, _: self.last)


def the_rest_proves_nothing(patch: Patch) -> None:
    """A gap is called certain though the proven record is among those that are left."""

    def decide(scene: Any, position: Any, a_reader: Any, page: Any) -> Any:
        reason, a_reader.suspicion = a_reader.suspicion, ""
        return losses.gap(scene, position, reason, lost=survey.unread_record(scene, position))

    patch.setattr(losses, "_decide", decide)


PLANTED: list[Callable[[Patch], None]] = [
    children_missed,
    children_at_the_tip,
    child_before_parent,
    first_page_only,
    expired_iterator_kept,
    aged_out_shard_loops,
    aged_out_shard_finished,
    position_before_delivery,
    sequence_as_text,
    trimmed_data_skipped,
    old_stream_for_ever,
    no_fencing,
    unreadable_record_dropped,
    bad_record_blocks,
    error_ends_the_reader,
    ttl_not_told,
    before_image_lost,
    keys_from_the_new_image,
    names_mangled,
    finished_shard_read_again,
    empty_page_ends_the_shard,
    late_first_read_unnoticed,
    every_closed_shard_lost_something,
    the_rest_proves_nothing,
]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Some seed breaks a law while the bug is planted."""
    logging.getLogger("producers.stream").setLevel(logging.CRITICAL)
    plant(monkeypatch)
    for seed in range(1, SEEDS + 1):
        try:
            Simulation(seed).run()
        except BrokenLawError:
            return
    pytest.fail(f"{plant.__name__} was not caught by {SEEDS} seeds")
