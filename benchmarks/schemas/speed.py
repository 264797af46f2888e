"""How fast events are made and read, on one core, against bare fastavro and Confluent's serializers in the same run.

    PYTHONPATH=. .venv/bin/python benchmarks/schemas/speed.py [--records 4000] [--rounds 5]

Every figure is CPU time of this process (the machine may be shared); contenders take turns, the best round counts.
"""

from __future__ import annotations

import argparse
import io
import json
import time
import warnings
from collections.abc import Callable
from typing import Any

import fastavro
import orjson

warnings.filterwarnings("ignore", module="authlib")

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, topic_subject_name_strategy  # noqa: E402  # after the filter
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer  # noqa: E402
from confluent_kafka.serialization import MessageField, SerializationContext  # noqa: E402
from orders import change_of, stream_records  # noqa: E402  # beside this file

from schemas import bundled  # noqa: E402
from schemas.codec import ChangeCodec, Depth  # noqa: E402
from schemas.compose import for_python, image_name  # noqa: E402
from schemas.framing import Confluent  # noqa: E402
from schemas.headers import facts_of, headers_of  # noqa: E402
from schemas.key import key_bytes  # noqa: E402

CONTEXT = SerializationContext("orders", MessageField.VALUE)


class OneSchemaClient(SchemaRegistryClient):
    """Confluent's client without a network: serializers ask it once and cache."""

    def __init__(self, text: str) -> None:
        self._schema = Schema(text, "AVRO")

    def get_schema(self, *_: Any, **__: Any) -> Schema:
        return self._schema

    def register_schema_full_response(self, *_: Any, **__: Any) -> Any:
        return type("Registered", (), {"schema_id": 1, "guid": None, "schema": self._schema, "version": 1})()

    def get_latest_version(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


def bare_encode(schema: Any) -> Callable[[dict[str, Any]], bytes]:
    def encode(record: dict[str, Any]) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, record)
        return out.getvalue()

    return encode


def named_unions(record: dict[str, Any], name: str) -> dict[str, Any]:
    """fastavro's hint that saves it from trying a union's branches."""
    images = {side: None if record[side] is None else (name, record[side]) for side in ("after", "before")}
    return record | images


def contenders(count: int) -> dict[str, tuple[Callable[[Any], Any], list[Any]]]:
    codec = ChangeCodec.for_image(bundled.load("order"), Confluent(1))
    parsed = fastavro.parse_schema(codec.schema, named_schemas={})
    raw = [orjson.dumps(record) for record in stream_records(count)]
    items = [orjson.loads(text)["NewImage"] for text in raw]
    changes = [change_of(codec, orjson.loads(text), number) for number, text in enumerate(raw)]
    values = [codec.encode(change) for change in changes]
    bodies = [value[5:] for value in values]
    records = [fastavro.schemaless_reader(io.BytesIO(body), parsed) for body in bodies]
    helped = [named_unions(codec.record_of(change), image_name(bundled.load("order"))) for change in changes]
    plain_times = fastavro.parse_schema(for_python(codec.schema), named_schemas={})
    headers = [headers_of(change) for change in changes]
    client = OneSchemaClient(json.dumps(codec.schema))
    conf = {"subject.name.strategy": topic_subject_name_strategy}
    serializer = AvroSerializer(client, json.dumps(codec.schema), conf=conf)
    deserializer = AvroDeserializer(client, json.dumps(codec.schema), conf=conf)

    def producer(pair: tuple[int, bytes]) -> None:
        change = change_of(codec, orjson.loads(pair[1]), pair[0])
        codec.encode(change)
        headers_of(change)
        key_bytes(change.key)

    return {
        "encode: bare fastavro": (bare_encode(parsed), records),
        "encode: bare fastavro, unions named, times as integers": (bare_encode(plain_times), helped),
        "encode: ours, from a Change": (codec.encode, changes),
        "encode: confluent_kafka AvroSerializer": (lambda record: serializer(record, CONTEXT), records),
        "decode: bare fastavro": (lambda body: fastavro.schemaless_reader(io.BytesIO(body), parsed), bodies),
        "decode: bare fastavro, times as integers": (
            lambda body: fastavro.schemaless_reader(io.BytesIO(body), plain_times),
            bodies,
        ),
        "decode: ours, to a Change": (codec.decode, values),
        "decode: ours, without before": (lambda value: codec.decode(value, Depth.AFTER), values),
        "decode: ours, envelope and key only": (lambda value: codec.decode(value, Depth.ENVELOPE), values),
        "decode: ours, headers only": (facts_of, headers),
        "decode: confluent_kafka AvroDeserializer": (lambda value: deserializer(value, CONTEXT), values),
        "item to image": (codec.image_from_dynamodb, items),
        "image to item": (codec.image_to_dynamodb, [change.after for change in changes]),
        "headers": (headers_of, changes),
        "producer's whole path": (producer, list(enumerate(raw))),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument("--records", type=int, default=4000)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    running = contenders(given.records)
    best = dict.fromkeys(running, float("inf"))
    for _ in range(given.rounds):
        for name, (act, inputs) in running.items():
            started = time.process_time()
            for one in inputs:
                act(one)
            best[name] = min(best[name], time.process_time() - started)
    print("| what | records/s on one core | µs a record |\n| --- | ---: | ---: |")
    for name, seconds in best.items():
        print(f"| {name} | {given.records / seconds:,.0f} | {seconds / given.records * 1e6:.1f} |")


if __name__ == "__main__":
    main()
