"""What a slot's readers find out about changes that the stream has trimmed: gaps, and when they are certain.

The sign of a gap comes first, and what the trim horizon still has may prove more. So the gap of a closed shard waits
for that (it comes within a few answers, since nothing is added to such a shard); any other gap is told at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from connectors.dynamodb_streams import Page
from producers.stream.reader import Answer, ShardReader
from producers.stream.survey import READ_LATE, TRIMMED_AFTER, Scene, Statement, gap, unread_record
from producers.stream.translate import sequence_of
from schemas.control import ControlKind
from schemas.position import TRIMMED, Position, ShardState

TRIMS_AT_HORIZON = 3
"""Answers in a row that say "trimmed" at the trim horizon before it is believed: it moves between two calls."""

READ_LATE_MARGIN_MS = 10 * 60_000
"""So much before a shard's retention is over its oldest changes are taken for trimmed: it may have been listed some
time after its birth, and the clocks of two workers and of the service differ."""

AT_TIP_AFTER_MS = 10 * 60_000
"""A shard that gave nothing but empty pages for so long is at its tip; fewer may be a stretch without records."""


def first_look(
    scene: Scene, position: Position, reader: ShardReader, answer: Answer, page: Page, *, retention_ms: int
) -> Statement | None:
    """What the first page of a shard says: is what it could have held still there?"""
    if not reader.suspicion:
        if not answer.from_horizon or (position.sequence is not None and position.start != TRIMMED):
            return None
        age_ms = answer.at_ms - position.since_ms
        if not position.since_ms or age_ms <= retention_ms - min(READ_LATE_MARGIN_MS, retention_ms // 4):
            known = position.state is ShardState.KNOWN
            return Statement(position=replace(position, state=ShardState.READING)) if known else None
        reader.suspicion = READ_LATE
    return _decide(scene, position, reader, page)


def _decide(scene: Scene, position: Position, reader: ShardReader, page: Page) -> Statement | None:
    """The gap that is suspected: certain when a record is proven, and the trim horizon has none any more."""
    lost = unread_record(scene, position)
    if lost is not None and not page.records and not reader.ended:
        return None
    reason, reader.suspicion = reader.suspicion, ""
    if page.records:
        # the proven record may be among those that are left
        return gap(scene, position, reason, next_sequence=sequence_of(page.records[0]))
    return gap(scene, position, reason, lost=lost)


def trimmed(scene: Scene, readers: Iterable[ShardReader], waiting: Collection[str]) -> list[Statement]:
    """Gaps of readers that are told "trimmed", once what they read before (shards ``waiting``) is published.

    Some servers go on saying so at the trim horizon, where all that a shard has left is trimmed: if it is closed too,
    nothing more can come of it, and the gap that is told already covers it.
    """
    told: list[Statement] = []
    for reader in readers:
        position = scene.own[reader.shard]
        at_horizon = position.sequence is None or bool(reader.suspicion)
        if reader.shard in waiting or reader.trims < (TRIMS_AT_HORIZON if at_horizon else 1):
            continue
        if position.start != TRIMMED:
            lost = unread_record(scene, position)
            if lost is not None and not at_horizon:
                reader.look_at_the_rest(TRIMMED_AFTER)
                continue
            told.append(gap(scene, position, reader.suspicion or TRIMMED_AFTER, lost=lost))
        elif reader.closed and reader.trims >= TRIMS_AT_HORIZON:
            told.append(Statement(position=replace(position, state=ShardState.GAP, at_ms=scene.now_ms)))
    return told


def concludes(statement: Statement, waiting: Collection[str]) -> bool:
    """Whether it tells of a loss in, or the end of, a shard whose pages wait: those come first, then it is made anew.

    A page behind it would open the shard again, and the gap would be told twice, first from a position that was not
    the last one; and with the policy ``fail`` the pages would be dropped though they were there.
    """
    position = statement.position
    if position is None or position.shard not in waiting:
        return False
    return position.state is ShardState.GAP or any(event.kind is ControlKind.GAP for event in statement.control)


def still_idle(scene: Scene, readers: Iterable[ShardReader], *, steady_ms: int, refresh_ms: int) -> list[Statement]:
    """Shards at their tips that had no record since the trim horizon: they have lost nothing so far, which is noted.

    Else they would be suspected after the retention, since their first record may come much later than they did.
    """
    said = []
    for reader in readers:
        position, idle_since_ms = scene.own[reader.shard], reader.idle_since_ms
        if position.state is not ShardState.READING or (position.sequence is not None and position.start != TRIMMED):
            continue
        if idle_since_ms is None or steady_ms - idle_since_ms < AT_TIP_AFTER_MS:
            continue
        since_ms = scene.now_ms - AT_TIP_AFTER_MS
        if since_ms - position.since_ms >= refresh_ms:
            said.append(Statement(position=replace(position, since_ms=since_ms, at_ms=scene.now_ms)))
    return said
