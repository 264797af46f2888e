"""Where a replay begins and ends, and what it may vouch for: asked of the live topics, or refused with a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.kafka import KafkaClients
from feed.replay.live import LivePartition, LiveTopic, begin_of
from feed.replay.request import Range, Request
from feed.run.process import now_ms
from producers.replay import Selection
from schemas.errors import ConfigError
from schemas.replay import NO_OFFSET


@dataclass(frozen=True, slots=True)
class Bounded:
    """A range, and what was seen when it was bounded."""

    selection: Selection
    gaps: tuple[str, ...]
    live: tuple[LivePartition, ...]
    looked_ms: int
    """When the live topic was looked at."""
    reach_ms: int
    """Everything that happened before is archived."""


class Bounds:
    """The bounds of one consumer's replays.

    Args:
        request: for whom.
        live: the live topic in the consumer's region.
    """

    def __init__(self, request: Request, live: LiveTopic) -> None:
        self._request, self._live = request, live

    def bounded(self, asked: Range) -> Bounded:
        """The range with its open ends filled in; what the archive has not stored yet of it."""
        request, looked_ms = self._request, now_ms()
        # before the archive is asked: what arrives later lies above these ends, and is not vouched for
        live = self._live.look(request.group, self._live.partitions(request.region))
        config, archive = self._request.config, self._request.archive
        source = KafkaClients(config.regions[archive.region].kafka, client_id=f"{config.feed}-replay")
        topic = LiveTopic(source, config.feed)
        group = f"{config.feed}.{self._request.archive_name}"
        reach = topic.reach(group, topic.partitions(archive.region), now_ms())
        from_ms = self._from(asked, live)
        to_ms = reach.to_ms if asked.to_ms is None else asked.to_ms
        if asked.to_ms is None and reach.fault:
            raise ConfigError(reach.fault, hint="give --to; with --accept-gaps what there is is replayed")
        if to_ms <= from_ms:
            raise ConfigError(
                f"the range is empty: --to ({_text(to_ms)}) is not after --from ({_text(from_ms)})",
                hint="without --to it reaches as far as the archive does",
            )
        gaps = []
        if reach.fault:
            gaps.append(reach.fault)
        elif to_ms > reach.to_ms:
            gaps.append(f"the archive reaches up to {_text(reach.to_ms)} by now, --to is {_text(to_ms)}")
        key = None if asked.order is None else asked.order.encode()
        return Bounded(Selection(from_ms, to_ms, key), tuple(gaps), tuple(live), looked_ms, reach.to_ms)

    def _from(self, asked: Range, live: Sequence[LivePartition]) -> int:
        """Where the range begins; refuses one that begins behind what the group lacks, as far as that is noted."""
        request = self._request
        if asked.from_ms is None:
            begin_ms = begin_of(live)
            if begin_ms is None:
                raise ConfigError(
                    f"no --from is given, and {request.group} lacks nothing that its topic had",
                    hint="give the time from which on its changes are to come once more, in UTC",
                )
            return begin_ms
        late = [
            each for each in live if each.lapsed and each.written_ms is not None and each.written_ms < asked.from_ms
        ]
        if late and asked.order is None:
            raise ConfigError(
                f"{request.group} lacks changes of partitions {[each.number for each in late]} from "
                f"{_text(min(each.written_ms or 0 for each in late))} on, --from is later ({_text(asked.from_ms)})",
                hint="leave --from out: then the replay begins an hour before that",
            )
        return asked.from_ms

    def vouched(self, found: Bounded, *, accept_gaps: bool) -> list[int]:
        """For each partition the live offset up to which the replay fills what retention took.

        Raises:
            ConfigError: a partition has lapsed, and the range ends before its live part begins.
        """
        selection, live = found.selection, found.live
        if selection.key is not None:
            return [NO_OFFSET] * len(live)
        # accepted or not: what the archive has not stored yet cannot be vouched for
        until = self._live.until(min(selection.to_ms, found.reach_ms), live, looked_ms=found.looked_ms)
        short = [each.number for each, offset in zip(live, until, strict=True) if each.lapsed and offset < each.low]
        if short and not accept_gaps:
            raise ConfigError(
                f"the live topic of {self._request.region} begins after --to on partitions {short}, "
                f"and {self._request.group} has not read what lies between",
                hint="give a later --to, or none: then the replay reaches as far as the archive does",
            )
        return until


def _text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
