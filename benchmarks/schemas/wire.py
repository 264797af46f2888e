"""How many bytes a change takes on the wire, in Kafka's own record batches, after zstd.

    PYTHONPATH=. .venv/bin/python benchmarks/schemas/wire.py

Batches are built byte for byte as Kafka's format 2 has them: 61 bytes of head, then records with varint lengths, which
are what is compressed. Cross-region bytes are what a feed pays for.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pyarrow as pa
from orders import change_of, stream_records  # beside this file

from schemas import bundled
from schemas.change import Change
from schemas.codec import ChangeCodec
from schemas.framing import Confluent
from schemas.headers import headers_of
from schemas.key import key_bytes

BATCH_HEAD_BYTES = 61
MARKER_BYTES = 78
"""A transaction's commit marker: a batch of its own in each partition that the transaction wrote to."""

ZSTD = pa.Codec("zstd", compression_level=3)
Headers = list[tuple[str, bytes]]
Form = tuple[Callable[[Change], bytes], Callable[[Change], Headers]]


def varint(number: int) -> bytes:
    zigzag = (number << 1) ^ (number >> 63)
    out = bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)


def kafka_record(number: int, time_delta_ms: int, key: bytes, value: bytes, headers: Headers) -> bytes:
    body = b"\x00" + varint(time_delta_ms) + varint(number) + varint(len(key)) + key + varint(len(value)) + value
    body += varint(len(headers))
    for name, text in headers:
        body += varint(len(name)) + name.encode() + varint(len(text)) + text
    return varint(len(body)) + body


def bytes_a_change(changes: list[Change], batch: int, form: Form, *, packed: bool) -> float:
    encode, headers = form
    total = 0
    for start in range(0, len(changes) - batch + 1, batch):
        records = b"".join(
            kafka_record(number, 0, key_bytes(change.key), encode(change), headers(change))
            for number, change in enumerate(changes[start : start + batch])
        )
        total += BATCH_HEAD_BYTES + (len(ZSTD.compress(records)) if packed else len(records))
    return total / (len(changes) // batch * batch)


def as_json(codec: ChangeCodec) -> Callable[[Change], bytes]:
    """The same event as JSON, images as DynamoDB JSON: what a feed without a schema would send."""

    def encode(change: Change) -> bytes:
        images = {
            name: None if image is None else codec.image_to_dynamodb(image)
            for name, image in (("after", change.after), ("before", change.before))
        }
        source = change.source
        return orjson.dumps(
            {
                "op": change.op,
                "key": change.key,
                "version": {"epoch": change.version.epoch, "sequence": str(change.version.sequence)},
                "source": {
                    "table": source.table,
                    "region": source.region,
                    "stream": source.stream,
                    "shard": source.shard,
                    "sequence": str(source.sequence),
                    "ordinal": source.ordinal,
                    "eventId": source.event_id,
                    "ttl": source.ttl,
                    "writingRegion": source.writing_region,
                },
                "occurredAt": change.occurred_at_ms,
                "capturedAt": change.captured_at_ms,
                **images,
            }
        )

    return encode


def main() -> None:
    codec = ChangeCodec.for_image(bundled.load("order"))
    changes = [change_of(codec, record, number) for number, record in enumerate(stream_records(8000))]
    nothing: Callable[[Change], Headers] = lambda _: []  # noqa: E731
    confluent = ChangeCodec.for_image(bundled.load("order"), Confluent(100_001))
    forms: dict[str, Form] = {
        "JSON, no headers": (as_json(codec), nothing),
        "JSON, CloudEvents headers": (as_json(codec), headers_of),
        "Avro single-object, no headers": (codec.encode, nothing),
        "Avro single-object, CloudEvents headers (ours)": (codec.encode, headers_of),
        "Avro Confluent, CloudEvents headers": (confluent.encode, headers_of),
        "headers alone": (lambda _: b"", headers_of),
    }
    batches = [1, 5, 40, 500]
    print(
        "| bytes a change | as it is, batch of 40 | " + " | ".join(f"zstd, batch of {size}" for size in batches) + " |"
    )
    print("| --- |" + " ---: |" * (len(batches) + 1))
    for name, form in forms.items():
        plain = bytes_a_change(changes, 40, form, packed=False)
        packed = [bytes_a_change(changes, size, form, packed=True) for size in batches]
        print(f"| {name} | {plain:,.0f} | " + " | ".join(f"{one:,.0f}" for one in packed) + " |")
    ours = forms["Avro single-object, CloudEvents headers (ours)"]
    for partitions in (1, 8):
        batch = 40 // partitions
        each = bytes_a_change(changes, batch, ours, packed=True)
        marker = MARKER_BYTES / batch
        print(
            f"\n400/s in transactions of 100 ms over {partitions} partition(s): batches of {batch}, "
            f"{each:,.0f} bytes a change and {marker:,.0f} for the markers: {(each + marker) * 400 / 1000:,.0f} kB/s, "
            f"{(each + marker) * 400 * 86_400 * 30 / 1e9:,.0f} GB a month and target region"
        )


if __name__ == "__main__":
    main()
