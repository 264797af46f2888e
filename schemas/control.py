"""Control events: what a feed says about itself, on ``<feed>.control``, in the transactions of the changes.

With the ordinals that every change carries, they let anyone prove in any region or store that all was delivered once:
a shard's ordinals are 0 … ``last_ordinal`` of its ``shard-end`` (less the refused ones), and the ``parent`` of its
``shard-start`` has an end of its own, a gap, or lay before the baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError

from schemas import bundled
from schemas.compose import for_python
from schemas.errors import PoisonError
from schemas.framing import SchemaId, SingleObject, id_of, prefix_of, split, unknown_schema
from schemas.released import ReleasedSchemas


class ControlKind(StrEnum):
    """What a control event says."""

    UNKNOWN = "unknown"
    """A kind that this version does not know; readers ignore it."""
    SHARD_START = "shard-start"
    """The first position of a shard is written; ``parent`` is empty when it has none, or it lay before the baseline."""
    SHARD_END = "shard-end"
    """The shard is finished; ``ordinal`` is its last one, -1 when it had no change."""
    REFUSED = "refused"
    """The change with this ``ordinal`` went to the dead letters, for ``reason``."""
    GAP = "gap"
    """Changes are, or may be, missing: see ``reason``, ``certain``, ``sequence`` (last read) and ``to_sequence``."""
    EPOCH = "epoch"
    """A slot publishes under this ``epoch`` from here on."""
    SNAPSHOT_COMPLETE = "snapshot-complete"
    """A first load or reload under ``epoch`` is published whole."""


@dataclass(frozen=True, slots=True)
class ControlEvent:
    """One statement of the feed about itself."""

    kind: ControlKind
    feed: str
    at_ms: int
    stream: str = ""
    shard: str = ""
    parent: str = ""
    epoch: int = 0
    slot: int = -1
    ordinal: int = -1
    sequence: int | None = None
    to_sequence: int | None = None
    certain: bool = True
    reason: str = ""


def encode_control(event: ControlEvent) -> bytes:
    """The value of a record of the control topic: Avro single-object, schema ``control`` of the package."""
    out = BytesIO()
    out.write(_PREFIX)
    schemaless_writer(
        out,
        _PARSED,
        {
            "kind": event.kind.value.replace("-", "_"),
            "feed": event.feed,
            "at": event.at_ms,
            "stream": event.stream,
            "shard": event.shard,
            "parent": event.parent,
            "epoch": event.epoch,
            "slot": event.slot,
            "ordinal": event.ordinal,
            "sequence": None if event.sequence is None else str(event.sequence),
            "toSequence": None if event.to_sequence is None else str(event.to_sequence),
            "certain": event.certain,
            "reason": event.reason,
        },
    )
    return out.getvalue()


def decode_control(value: bytes) -> ControlEvent:
    """The inverse of :func:`encode_control`.

    Raises:
        PoisonError: the value is no control event.
        FatalError: a newer version wrote it with a schema that is not known here.
    """
    schema_id, body = split(value)
    writer = _PARSED if schema_id == _ID else _released(schema_id)
    try:
        record: Any = schemaless_reader(BytesIO(body), writer, None if writer is _PARSED else _PARSED)
        sequence, to_sequence = record["sequence"], record["toSequence"]
        return ControlEvent(
            kind=_KINDS[record["kind"]],
            feed=record["feed"],
            at_ms=record["at"],
            stream=record["stream"],
            shard=record["shard"],
            parent=record["parent"],
            epoch=record["epoch"],
            slot=record["slot"],
            ordinal=record["ordinal"],
            sequence=None if sequence is None else int(sequence),
            to_sequence=None if to_sequence is None else int(to_sequence),
            certain=record["certain"],
            reason=record["reason"],
        )
    except (EOFError, ValueError, LookupError, TypeError, SchemaResolutionError) as error:
        raise PoisonError(
            f"the value is no control event: {error!r}", hint="something else wrote to the control topic", path="value"
        ) from error


@cache
def _released(schema_id: SchemaId) -> Any:
    """What an earlier release wrote."""
    schema = ReleasedSchemas().find(schema_id)
    if schema is None:
        raise unknown_schema(schema_id)
    return parse_schema(for_python(schema), named_schemas={})


_SCHEMA = bundled.load("control")
_PARSED = parse_schema(for_python(_SCHEMA), named_schemas={})
_PREFIX = prefix_of(SingleObject(), _SCHEMA)
_ID = id_of(SingleObject(), _SCHEMA)
_KINDS = {kind.value.replace("-", "_"): kind for kind in ControlKind}
