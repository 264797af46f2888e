"""A digest: where every partition's chain stood at a time, signed, over the digest before it. Pure.

A chain proves everything before its head; digests prove the heads. They are numbered without a hole and written also
when nothing happened, so a missing one is seen; what is cut off behind the last one, the anchor outside the bucket
shows.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from consumers.audit.segments import Link
from consumers.runtime.contracts import Partition
from schemas.errors import FatalError

FORMAT: Final = "changefeed.audit-digest.v1"
_NUMBER: Final = re.compile(r"(\d{10})\.json")


@dataclass(frozen=True, slots=True)
class Digest:
    """What is signed."""

    number: int
    topic: str
    cluster_id: str
    topic_id: str
    from_ms: int
    """When the digest before was made; 0 in the first."""
    to_ms: int
    previous_sha256: str
    """Of the digest object before, its signature included; empty in the first."""
    heads: Mapping[int, Link] = field(default_factory=dict)
    """The head of each partition's chain that has one."""

    def message(self) -> bytes:
        """The bytes that are signed: canonical JSON."""
        heads = {str(number): _to_json(link) for number, link in self.heads.items()}
        return orjson.dumps(
            {
                "format": FORMAT,
                "number": self.number,
                "topic": self.topic,
                "cluster_id": self.cluster_id,
                "topic_id": self.topic_id,
                "from_ms": self.from_ms,
                "to_ms": self.to_ms,
                "previous_sha256": self.previous_sha256,
                "heads": heads,
            },
            option=orjson.OPT_SORT_KEYS,
        )


@dataclass(frozen=True, slots=True)
class SignedDigest:
    """A digest as it is stored."""

    digest: Digest
    key_id: str
    signature: bytes
    sha256: str
    """Of the object: what the next digest and the anchor name."""


def digest_folder(prefix: str, partition: Partition) -> str:
    """Where the digests of a topic live."""
    return f"{prefix}-digests/{partition.topic}/{partition.cluster_id}/{partition.topic_id}/"


def digest_name(folder: str, number: int) -> str:
    """A digest's name: numbers without a hole."""
    return f"{folder}{number:010d}.json"


def number_of(name: str) -> int | None:
    """The number in a name, None when it is not a digest's."""
    found = _NUMBER.fullmatch(name.rpartition("/")[2])
    return int(found[1]) if found else None


def seal(digest: Digest, key_id: str, sign: Callable[[bytes], bytes]) -> tuple[bytes, SignedDigest]:
    """Sign a digest; gives the object's bytes and what they say."""
    message = digest.message()
    signature = sign(message)
    body = orjson.dumps(
        {"key_id": key_id, "message": message.decode(), "signature": base64.b64encode(signature).decode()}
    )
    return body, SignedDigest(digest, key_id, signature, hashlib.sha256(body).hexdigest())


def read_digest(body: bytes, name: str) -> tuple[SignedDigest, bytes]:
    """A stored digest, and the bytes that were signed.

    Raises:
        FatalError: it is no digest.
    """
    try:
        envelope: dict[str, Any] = orjson.loads(body)
        message = envelope["message"].encode()
        told: dict[str, Any] = orjson.loads(message)
        if told.pop("format") != FORMAT:
            raise FatalError(f"{name} has another format", hint="a newer version wrote it")
        heads = {int(number): Link(**link) for number, link in told.pop("heads").items()}
        digest = Digest(heads=heads, **told)
        signature = base64.b64decode(envelope["signature"], validate=True)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise FatalError(f"{name} is no digest: {error!r}", hint="run `feed audit verify`") from error
    return SignedDigest(digest, envelope["key_id"], signature, hashlib.sha256(body).hexdigest()), message


def _to_json(link: Link) -> dict[str, Any]:
    return {name: getattr(link, name) for name in ("number", "first", "last", "sha256", "size")}
