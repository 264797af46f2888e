"""The consumer of the source and the producer of the copies: which settings reach them, and which defaults hurt."""

from __future__ import annotations

from collections.abc import Iterator

from mirrormaker.doctor.checks import hit, is_one_of, number, unless
from mirrormaker.doctor.findings import Severity
from mirrormaker.doctor.herder import Herder, Part, Place
from mirrormaker.doctor.rule import Hit, Rule, line_to_write
from mirrormaker.doctor.setup import Setup

_FETCH = "max.partition.fetch.bytes"
_BUFFER = "receive.buffer.bytes"
_CONVERTERS = ("key.converter", "value.converter", "header.converter")
_OF_OFFSET_PAIRS = ("producer.", "target.producer.", "source.producer.")


def _header_bytes(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        connector = herder.connectors[Part.SOURCE]
        if herder.place is not Place.CONNECT:
            continue
        for key in _CONVERTERS:
            given = connector.get(key) or (herder.worker or {}).get(key)
            good = given is not None and given.text.strip().endswith("ByteArrayConverter")
            if not good and (given is not None or key == "header.converter" or herder.worker is not None):
                yield hit(herder, Part.SOURCE, key, given, "org.apache.kafka.connect.converters.ByteArrayConverter")


def _without_effect(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        for key, value in herder.connectors[Part.SOURCE].items():
            better = _better(setup, herder, key)
            # in dedicated mode `us.producer.x` arrives under the same names and is right: only a flow's own lines are
            # meant
            written_here = herder.place is not Place.DEDICATED or value.key.startswith(f"{herder.name}.")
            if better and written_here:
                yield Hit(value, fix=line_to_write(better, value.text, value))


def _better(setup: Setup, herder: Herder, key: str) -> str:
    producer, consumer, client = (setup.known.of(part) for part in ("producer", "consumer", "client"))
    for prefix in _OF_OFFSET_PAIRS:
        if key.startswith(prefix) and not key.startswith("producer.override."):
            bare = key.removeprefix(prefix)
            return herder.spelled(Part.PRODUCER, bare) if bare in producer - client else ""
    for prefix, part, keys in (
        ("target.cluster.producer.", Part.PRODUCER, producer),
        ("target.cluster.", Part.PRODUCER, producer),
        ("source.cluster.consumer.", Part.CONSUMER, consumer),
        ("source.cluster.", Part.CONSUMER, consumer),
    ):
        bare = key.removeprefix(prefix)
        if bare != key and bare in keys - client:
            return herder.spelled(part, bare)
    return ""


def _slow_producer(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        producer = herder.settings(Part.PRODUCER, setup.known) or {}
        given = producer.get("max.in.flight.requests.per.connection")
        if not number(lambda count: count > 1)(given.text if given else "1"):
            yield hit(herder, Part.PRODUCER, "max.in.flight.requests.per.connection", given, "5")
        elif not number(lambda size: size >= 65_536)(
            producer["batch.size"].text if "batch.size" in producer else "16384"
        ):
            yield hit(herder, Part.PRODUCER, "batch.size", producer.get("batch.size"), "131072")


def _small_window(setup: Setup) -> Iterator[Hit]:
    buffer = unless(
        Part.CONSUMER, _BUFFER, number(lambda size: size == -1 or size >= 1_048_576), write="-1", default="65536"
    )
    fetch = unless(Part.CONSUMER, _FETCH, number(lambda size: size >= 2_097_152), write="4194304", default="1048576")
    yield from buffer(setup)
    yield from fetch(setup)


def _beside_the_source(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        if setup.runs_beside and setup.runs_beside == herder.source:
            yield Hit(herder.anchor, facts={"source": herder.source, "target": herder.target})
        given = herder.connectors[Part.SOURCE].get("producer.override.bootstrap.servers")
        if given:
            yield Hit(given, facts={"source": herder.source, "target": herder.target})


def _idempotence_off(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        producer = herder.settings(Part.PRODUCER, setup.known) or {}
        many = producer.get("max.in.flight.requests.per.connection")
        idempotent = producer.get("enable.idempotence")
        known_good = herder.exactly_once or (idempotent and is_one_of("true")(idempotent.text.strip()))
        if many and number(lambda count: count > 1)(many.text) and not known_good:
            yield hit(herder, Part.PRODUCER, "enable.idempotence", idempotent or many, "true")


RULES = (
    Rule(
        "MM20",
        "headers or bytes are rewritten",
        Severity.LOSS,
        "On plain Connect the converter decides what is written: without ByteArrayConverter header values become "
        "base64 text, "
        "and keys and values whatever the worker's converter makes of bytes.",
        "Name it for key, value and header in the connector.",
        "KAFKA-10428; ConnectorConfig",
        _header_bytes,
    ),
    Rule(
        "MM21",
        "a setting that the copies never see",
        Severity.STALL,
        "Connectors give this to the small producer of offset pairs, or to nobody; the records' own producer is the "
        "worker's, "
        "and of cluster prefixes only connection keys are read.",
        "Producer settings go under producer.override., consumer settings under source.consumer.",
        "Worker.baseProducerConfigs; MirrorConnectorConfig; AWS's sample has them",
        _without_effect,
    ),
    Rule(
        "MM22",
        "one request at a time",
        Severity.STALL,
        "Connect's producer sends one request at a time (max.in.flight 1) with batches of 16 KiB: over a long way each "
        "batch "
        "waits a round trip.",
        "5 keeps the order when the producer is idempotent, as exactly once makes it.",
        "Worker.baseProducerConfigs; ProducerConfig",
        _slow_producer,
        certain=False,
    ),
    Rule(
        "MM23",
        "a small window over a long way",
        Severity.STALL,
        "With {key} as it is, a connection brings one window for each round trip: 64 KiB in 75 ms is under 1 MB/s, and "
        "1 MiB of "
        "a partition in 260 ms 4 MB/s.",
        "-1 lets the operating system size the buffer.",
        "ConsumerConfig",
        _small_window,
        certain=False,
    ),
    Rule(
        "MM24",
        "it runs beside the source",
        Severity.STALL,
        "MirrorMaker of {source}->{target} runs beside {source}: every produce request, and the worker's own group, "
        "crosses the "
        "long way, and a cut stops the worker.",
        "Run it beside {target}: reading from far away is what consumers are good at.",
        "Kafka's documentation of geo-replication",
        _beside_the_source,
    ),
    Rule(
        "MM40",
        "a larger record stops the task",
        Severity.STALL,
        "The producer refuses a record above max.request.size, 1 MiB by default and counted before compression; the "
        "task fails "
        "and stays failed.",
        "As large as the source's max.message.bytes allows; the target's topic must allow it as well.",
        "ProducerConfig",
        unless(
            Part.PRODUCER, "max.request.size", number(lambda size: size > 1_048_576), write="2162688", default="1048576"
        ),
        certain=False,
    ),
    Rule(
        "MM43",
        "many in flight without idempotence",
        Severity.LOSS,
        "More than one request in flight and no idempotence: a retry can put a batch behind a later one, and records "
        "of a key "
        "change their order.",
        "Or turn exactly once on, which implies it.",
        "Worker.baseProducerConfigs; ProducerConfig",
        _idempotence_off,
    ),
)
