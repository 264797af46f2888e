"""Records of the feed's own topics: JSON with a format number, written by this program and read back by a later one."""

from __future__ import annotations

from typing import Any

import orjson

from schemas.errors import FatalError


def load_stored(value: bytes, *, topic: str, key: bytes, known: int) -> dict[str, Any]:
    """The fields of a record, without its format number.

    Args:
        value: the record's value.
        topic: what the topic holds, in a word, for the error: ``positions``, ``snapshot``.
        key: the record's key, for the error.
        known: the format that this program writes and reads.

    Raises:
        FatalError: the value is not one of ours, or of a later format.
    """
    try:
        data: dict[str, Any] = orjson.loads(value)
        version = data.pop("v")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise FatalError(
            f"the {topic} record {key!r} cannot be read: {error}",
            hint=f"something else wrote into the {topic} topic; look at the record, and at the topic's ACLs",
        ) from error
    if version != known:
        raise FatalError(
            f"the {topic} record {key!r} has format {version}, this program knows {known}",
            hint="a newer version of the feed wrote it: upgrade this process too",
        )
    return data
