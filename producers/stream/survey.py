"""What a slot has to say about shards, beside their records: baseline, known shards, gaps, retired positions.

Pure: the owner of a slot looks at its own positions (which it has read to their end), at the positions of the others
(which may be late, never early), and at the listings; what comes out is written in its next transaction. Whatever is
not written yet comes out again the next time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from connectors.dynamodb_streams import Sightings, absent_parents, latest_start
from schemas.control import ControlEvent, ControlKind
from schemas.position import TRIMMED, Baseline, Position, ShardState, SlotRecord, slot_of

TRIMMED_AFTER = "the stream has trimmed what follows the position"
READ_LATE = "the shard was read first when its oldest changes may have been trimmed"
UNLISTED = "the shard is unlisted"
REFUSED = "the shard is listed, but refused for too long"

LISTED_EVERY_MS = 600_000
"""How old the listing named by a slot's record may become."""

RETIRE_AFTER_MS = 48 * 3_600_000
"""How long a terminal shard must be unlisted before its position goes: no listing brings it back by then."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a slot's statements follow from."""

    feed: str
    slot: int
    slots: int
    now_ms: int
    stream: str
    """ARN of the table's stream now; empty while unknown."""
    baseline: Baseline | None
    own: Mapping[str, Position]
    record: SlotRecord | None
    others: Mapping[str, Position]
    """Positions of all slots, as the worker follows them."""
    sightings: Mapping[str, Sightings]
    refused_since_ms: Mapping[str, int]
    """Shards of this slot whose reader is refused without a break, and since when."""
    named_since_ms: Mapping[str, int]
    """Parents of this slot without a record that a waiting child names, and since when this owner knows."""
    start_latest: bool
    fail_on_gap: bool
    absence_min_ms: int
    refused_max_ms: int
    requested_epoch: int = 0
    """The epoch under which a snapshot waits for all slots to publish; 0 when there is none."""

    @property
    def adopted(self) -> bool:
        """Whether the slot has taken in the baseline of the stream, whatever epoch it publishes under."""
        return self.record is not None and self.baseline is not None and self.record.stream == self.baseline.stream

    def position(self, shard: str) -> Position | None:
        """A shard's position, of any slot."""
        return self.own.get(shard) or self.others.get(shard)

    def event(self, kind: ControlKind, position: Position | None = None, **fields: object) -> ControlEvent:
        """A control event of this slot, about a position."""
        about: dict[str, object] = {"epoch": self.baseline.epoch if self.baseline else 1}
        if position is not None:
            about = {"stream": position.stream, "shard": position.shard, "parent": position.parent}
            about |= {"epoch": position.epoch, "ordinal": position.ordinal, "sequence": position.sequence}
        return ControlEvent(kind=kind, feed=self.feed, at_ms=self.now_ms, slot=self.slot, **{**about, **fields})  # type: ignore[arg-type]  # fields of ControlEvent by name


@dataclass(frozen=True, slots=True)
class Statement:
    """What is written together."""

    position: Position | None = None
    retired: str = ""
    """A shard whose position gets a tombstone."""
    baseline: Baseline | None = None
    record: SlotRecord | None = None
    control: tuple[ControlEvent, ...] = ()
    fatal: str = ""
    """The worker stops with this sentence once the statement is written (policy ``fail``)."""


def survey(scene: Scene) -> list[Statement]:
    """What is to be written now."""
    if scene.slot == 0 and (begun := begin(scene)):
        return [begun]
    if scene.baseline is None or (scene.record is not None and scene.record.epoch > scene.baseline.epoch):
        # the follower is late: what this slot has written about itself is newer than what it hears of slot 0
        return []
    return [
        *take_in(scene, scene.baseline),
        *find_parents(scene, scene.baseline),
        *resume_held(scene),
        *conclude(scene),
        *retire(scene),
    ]


def begin(scene: Scene) -> Statement | None:
    """The baseline, by the owner of slot 0: at the first start, when the table has a new stream, for a snapshot."""
    before, seen = scene.baseline, scene.sightings.get(scene.stream)
    if before is not None and not before.held and scene.requested_epoch > before.epoch:
        return Statement(baseline=replace(before, epoch=scene.requested_epoch))
    if not scene.stream or (before is not None and _is_or_was(scene, before, scene.stream)):
        return None
    control: tuple[ControlEvent, ...] = ()
    if before is not None and before.held:
        if scene.fail_on_gap:
            return Statement(fatal=f"the feed is held: {before.held}")
    elif before is not None:
        reason = f"the table has a new stream {scene.stream}: changes between {before.stream} and it may be missing"
        control = (scene.event(ControlKind.GAP, stream=before.stream, reason=reason, certain=False),)
        if scene.fail_on_gap:
            return Statement(baseline=replace(before, held=reason), control=control, fatal=reason)
    if seen is None or seen.last_complete_ms is None:
        return None
    return Statement(baseline=_baseline(scene, seen, seen.last_complete_ms), control=control)


def _is_or_was(scene: Scene, baseline: Baseline, stream: str) -> bool:
    """Whether ``stream`` is the baseline's, or one before it: a worker that slept may take that for the table's.

    The last part of a stream's ARN is its label, "a timestamp, in ISO 8601 format" (API reference of DescribeStream):
    of one table's streams the one before sorts before, also when no position remembers it any more.
    """
    if stream in (baseline.stream, baseline.after):
        return True
    table, _, label = stream.rpartition("/")
    known_table, _, known_label = baseline.stream.rpartition("/")
    if table == known_table and label < known_label:
        return True
    return any(position.stream == stream for position in (*scene.own.values(), *scene.others.values()))


def _baseline(scene: Scene, seen: Sightings, at_ms: int) -> Baseline:
    before, shards = scene.baseline, seen.shards.values()
    return Baseline(
        stream=scene.stream,
        epoch=1 if before is None else before.epoch + 1,
        at_ms=at_ms,
        since_ms=_since_ms(scene, at_ms),
        start=latest_start(scene.now_ms) if scene.start_latest and before is None else "",
        shards={shard.id: shard.parent for shard in shards},
        gone=absent_parents(shards),
        after="" if before is None else before.stream,
    )


def _since_ms(scene: Scene, at_ms: int) -> int:
    """What a new baseline promises from: its own time at the first start, else where the feed last knew the table."""
    if scene.baseline is None:
        return at_ms
    return scene.baseline.since_ms if scene.record is None else scene.record.listed_at_ms


def take_in(scene: Scene, baseline: Baseline) -> Iterator[Statement]:
    """``known`` for every shard of this slot that has no record, and the slot's record."""
    adopted = scene.adopted
    listed_at_ms = scene.record.listed_at_ms if scene.record is not None and adopted else baseline.since_ms
    gone = set(baseline.gone)
    if not adopted:
        for shard, parent in baseline.shards.items():
            if slot_of(shard, scene.slots) == scene.slot and shard not in scene.own:
                yield known(
                    scene,
                    baseline,
                    shard,
                    "" if parent in gone else parent,
                    since_ms=baseline.since_ms,
                    start=baseline.start,
                )
    for stream, seen in scene.sightings.items():
        if stream not in (baseline.stream, baseline.after):
            continue
        for found in seen.shards.values():
            if slot_of(found.id, scene.slots) != scene.slot or found.id in scene.own:
                continue
            if not adopted and found.id in baseline.shards:
                continue
            parent = "" if found.parent in gone else found.parent
            yield known(scene, baseline, found.id, parent, since_ms=listed_at_ms, stream=stream)
    if (own := _slot_record(scene, baseline, listed_at_ms, adopted=adopted)) is not None:
        yield own


def _slot_record(scene: Scene, baseline: Baseline, listed_at_ms: int, *, adopted: bool) -> Statement | None:
    seen = scene.sightings.get(baseline.stream)
    complete_ms = (seen.last_complete_ms if seen else None) or listed_at_ms
    newest = SlotRecord(baseline.epoch, baseline.stream, max(listed_at_ms, complete_ms))
    if adopted and scene.record is not None and scene.record.epoch >= baseline.epoch:
        if scene.stream != baseline.stream:
            return None  # a listing of a stream that is no longer the table's says nothing about what is new
        return Statement(record=newest) if complete_ms - listed_at_ms >= LISTED_EVERY_MS else None
    if adopted:  # the epoch was raised for a snapshot: nothing else changes
        newest = SlotRecord(baseline.epoch, baseline.stream, listed_at_ms)
    elif baseline.after and not _is_past(scene, baseline):
        return None
    return Statement(record=newest, control=(scene.event(ControlKind.EPOCH, stream=baseline.stream),))


def _is_past(scene: Scene, baseline: Baseline) -> bool:
    """Whether all of the former stream that belongs to this slot is read: only then may the new one be.

    Its last shards may have been listed late, so a listing from some time after the baseline must show no more of them.
    """
    if any(p.stream != baseline.stream and not p.state.terminal for p in scene.own.values()):
        return False
    seen = scene.sightings.get(baseline.after)
    if seen is None or (seen.last_complete_ms or 0) < baseline.at_ms + scene.absence_min_ms:
        return False
    return all(slot_of(shard, scene.slots) != scene.slot or shard in scene.own for shard in seen.shards)


def known(
    scene: Scene, baseline: Baseline, shard: str, parent: str, *, since_ms: int, start: str = "", stream: str = ""
) -> Statement:
    """A shard's first record, so that it is missed if it vanishes unread."""
    former = stream not in ("", baseline.stream) and scene.record is not None
    position = Position(
        shard=shard,
        stream=stream or baseline.stream,
        parent=parent,
        # what is left of a former stream goes out under its own epoch: numbers of two streams do not compare
        epoch=scene.record.epoch if former and scene.record else baseline.epoch,
        start=start,
        since_ms=since_ms,
        at_ms=scene.now_ms,
    )
    return Statement(position=position, control=(scene.event(ControlKind.SHARD_START, position),))


def named_parents(
    own: Mapping[str, Position], others: Iterable[Position], gone: Iterable[str], slot: int, slots: int
) -> dict[str, Position]:
    """Parents of ``slot`` without any record that a waiting child names, with that child."""
    named: dict[str, Position] = {}
    for position in (*others, *own.values()):
        if position.state is ShardState.KNOWN and position.parent and position.parent not in own:
            named[position.parent] = position
    before = set(gone)
    return {p: child for p, child in named.items() if slot_of(p, slots) == slot and p not in before}


def find_parents(scene: Scene, baseline: Baseline) -> Iterator[Statement]:
    """``known`` for a named parent that is unlisted: its reader finds out whether it is gone, and then it is a gap."""
    if not scene.adopted:
        return
    others = scene.others.values()
    for parent, child in named_parents(scene.own, others, baseline.gone, scene.slot, scene.slots).items():
        seen, since_ms = scene.sightings.get(child.stream), scene.named_since_ms.get(parent)
        if seen is None or since_ms is None:
            continue
        if seen.unlisted(parent, scene.absence_min_ms, since_ms=since_ms):
            yield known(scene, baseline, parent, "", since_ms=child.since_ms, stream=child.stream)


def conclude(scene: Scene) -> Iterator[Statement]:
    """Gaps of shards that are refused and unlisted (or refused for very long)."""
    for shard, since_ms in scene.refused_since_ms.items():
        position = scene.own.get(shard)
        if position is None or position.state.terminal or position.held:
            continue
        seen = scene.sightings.get(position.stream)
        # listings since the record was written count, so that a chain of lost shards does not wait anew at each link
        if seen is not None and seen.unlisted(shard, scene.absence_min_ms, since_ms=position.at_ms):
            yield gap(scene, position, UNLISTED, lost=unread_record(scene, position))
        elif scene.now_ms - since_ms >= scene.refused_max_ms:
            yield gap(scene, position, REFUSED, lost=unread_record(scene, position))


def unread_record(scene: Scene, position: Position) -> int | None:
    """The sequence number of a promised record behind the position, where the listing proves one (a closed shard's).

    Of a shard that was never read and is one of the baseline's, the record may be older than what is promised.
    """
    seen = scene.sightings.get(position.stream)
    listed = seen.find(position.shard) if seen is not None else None
    if listed is None or scene.baseline is None:
        return None
    if position.sequence is None and position.shard in scene.baseline.shards:
        return None
    return listed.record_after(position.sequence)


def gap(
    scene: Scene, position: Position, reason: str, *, lost: int | None = None, next_sequence: int | None = None
) -> Statement:
    """The gap event, and the position behind it: terminal for a lost shard, the trim horizon for a trimmed one.

    The epoch is that of the shard's ancestors too: a snapshot under the same one would not overwrite what they told.

    Args:
        scene: what all follows from.
        position: the shard's position before the gap.
        reason: one of this module's.
        lost: number of a record that existed, was not read and cannot be read: the gap is certain. None: it is possible
            (an idle shard whose last record aged out shows the same signs).
        next_sequence: number of the first record behind the gap, where one was read.
    """
    position = replace(position, epoch=lineage_epoch(position, scene.position))
    told = reason if lost is None else f"{reason}; its last record {lost} was never read"
    event = scene.event(ControlKind.GAP, position, reason=told, certain=lost is not None, to_sequence=next_sequence)
    if scene.fail_on_gap:
        missing = "may be missing" if lost is None else "are missing"
        fatal = f"changes of shard {position.shard} {missing}: {told}"
        return Statement(position=replace(position, held=reason, at_ms=scene.now_ms), control=(event,), fatal=fatal)
    return Statement(position=_behind(scene, position, reason), control=(event,))


def _behind(scene: Scene, position: Position, reason: str) -> Position:
    if reason in (TRIMMED_AFTER, READ_LATE):
        # what is written from now on is not covered by this gap: read first after a day, it is another one
        return replace(position, start=TRIMMED, held="", since_ms=scene.now_ms, at_ms=scene.now_ms)
    return replace(position, state=ShardState.GAP, held="", at_ms=scene.now_ms)


def resume_held(scene: Scene) -> Iterator[Statement]:
    """Shards whose gap was told under the policy ``fail``: go on behind it, or stop again."""
    for position in scene.own.values():
        if not position.held:
            continue
        if scene.fail_on_gap:
            yield Statement(fatal=f"shard {position.shard} is held since a gap: {position.held}")
        else:
            yield Statement(position=_behind(scene, position, position.held))


def retire(scene: Scene) -> Iterator[Statement]:
    """Notes since when a terminal shard is unlisted, and drops its position when it can never matter again."""
    if not any(p.state.terminal for p in scene.own.values()):
        return
    children: dict[str, list[Position]] = {}
    for child in {**scene.others, **scene.own}.values():
        children.setdefault(child.parent, []).append(child)
    for position in scene.own.values():
        if not position.state.terminal:
            continue
        seen = scene.sightings.get(position.stream)
        if seen is None or not seen.unlisted(position.shard, scene.absence_min_ms, since_ms=position.at_ms):
            continue
        if not position.unlisted_at_ms:
            yield Statement(position=replace(position, unlisted_at_ms=scene.now_ms))
        elif scene.now_ms - position.unlisted_at_ms >= RETIRE_AFTER_MS and _passed(children.get(position.shard, ())):
            yield Statement(retired=position.shard)


def _passed(children: Iterable[Position]) -> bool:
    states = [child.state for child in children]
    return bool(states) and ShardState.KNOWN not in states


def lineage_epoch(position: Position, lookup: Callable[[str], Position | None]) -> int:
    """The highest epoch under which a shard or one before it has published.

    Versions of a key must grow from parent to child, also while some slots have raised the epoch and others have not.
    """
    epoch, parent = position.epoch, position.parent
    while parent and (found := lookup(parent)) is not None:
        epoch = max(epoch, found.epoch)
        if found.state is ShardState.FINISHED:
            break  # it has taken into account those before it
        parent = found.parent
    return epoch


def may_read(
    position: Position,
    lookup: Callable[[str], Position | None],
    baseline: Baseline | None,
    records: Mapping[int, SlotRecord],
    slots: int,
) -> bool:
    """Whether a shard may be read: its parent is terminal, and so are all shards of the stream before."""
    if position.state.terminal or position.held or baseline is None:
        return False
    if position.state is ShardState.READING:
        return True  # it was allowed once, and a terminal parent stays terminal
    if position.parent:
        parent = lookup(position.parent)
        if parent is None or not parent.state.terminal:
            return False
    if baseline.after and position.stream == baseline.stream:
        return all(slot in records and records[slot].stream == baseline.stream for slot in range(slots))
    return True
