"""``feed verify``: everything that the configuration names, read once and judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import AwsClients
from connectors.kafka import KafkaClients
from connectors.redshift import Redshift
from connectors.registry import image_schema
from connectors.s3 import ObjectStore
from consumers.analytics.columns import image_columns
from consumers.analytics.tables import Tables
from feed.config import FeedConfig
from feed.config.consumers import (
    AnalyticsConsumer,
    AnyConsumer,
    ArchiveConsumer,
    AuditConsumer,
    NotificationConsumer,
    WarehouseConsumer,
)
from feed.operate import letters_of, open_letters
from feed.operate.letter_topic import stored
from feed.run.codec import codec_of
from feed.verify.evidence import NOT_KEPT, Evidence, Place, Seen, last_change
from feed.verify.expected import Expected, expect
from feed.verify.judge import Judge
from feed.verify.lineage import Lineage
from feed.verify.record import RecordReader
from feed.verify.stores import ArchiveEvidence, AuditEvidence
from feed.verify.tables import NotificationEvidence, Notified, PickEvidence
from feed.verify.topics import TopicReader, TopicsAudit, read_control
from feed.verify.verdict import Verdict
from feed.verify.warehouse import CurrentEvidence, HistoryEvidence, RowReader
from feed.workload import LedgerReader
from schemas.control import ControlEvent
from schemas.errors import ConfigError, FeedError

Say = Callable[[str], None]


class Verification:
    """One verification of one feed."""

    def __init__(self, config: FeedConfig, ledger: Path | None, say: Say = lambda _: None) -> None:
        self._config, self._say = config, say
        if ledger is not None and config.producer.filter.active:
            raise ConfigError(
                "the feed leaves changes or attributes out (producer.filter), and a ledger of all writes cannot tell "
                "which: it has digests of items, not their attributes",
                hint="verify without --ledger: the ordinals prove that all that passed the filter arrived once",
            )
        self._verdict = Verdict()
        self._codec = codec_of(config)
        self._reader = RecordReader(self._codec, config.table.version_attribute or "revision")
        self._expected = self._read_ledger(ledger) if ledger is not None else None

    def run(self) -> Verdict:
        """Read and judge all. What cannot be read is said in the verdict, which then does not hold."""
        regions = [name for name in self._config.regions if self._config.has_topic(name)]
        control = self._judge_topics(regions)
        for name, section in self._config.consumers.items():
            self._guard(f"{section.region} {name}", partial(self._judge_sink, name, section, control))
        self._guard("dead letters", self._count_dead_letters)
        return self._verdict

    def _read_ledger(self, path: Path) -> Expected:
        reader = LedgerReader(path)
        expected = expect(reader)
        self._verdict.changes = expected.changes
        if reader.ended is None:
            self._verdict.unread.append(f"the end of {path.name}: the workload died, its last writes are not known")
        elif reader.ended not in {"done", "stopped"}:
            self._verdict.notes.append(f"the workload ended with: {reader.ended}")
        return expected

    def _judge_topics(self, regions: list[str]) -> dict[str, list[ControlEvent]]:
        readers = self._topic_readers(regions, self._config.feed)
        control: dict[str, list[ControlEvent]] = {}

        def read_all() -> None:
            self._say(f"reading the control topic in {', '.join(regions)}")
            events, difference = read_control(self._topic_readers(regions, f"{self._config.feed}.control"))
            control.update(events)
            self._say(f"reading the topic in {', '.join(regions)}")
            audit = TopicsAudit(readers, self._reader, self._expected)
            audit.run()
            self._verdict.findings += audit.findings()
            self._verdict.lineages += audit.lineages(control)
            self._verdict.differences += [audit.difference(), difference]

        self._guard("the topics", read_all)
        return control

    def _topic_readers(self, regions: list[str], topic: str) -> dict[str, TopicReader]:
        clients = {name: KafkaClients(self._config.regions[name].kafka, client_id="feed-verify") for name in regions}
        return {name: TopicReader(clients[name], topic) for name in regions}

    def _judge_sink(self, name: str, section: AnyConsumer, control: dict[str, list[ControlEvent]]) -> None:
        for evidence in self._evidence_of(name, section):
            self._say(f"reading {evidence.place.title}")
            self._judge_evidence(evidence, control.get(section.region, []))

    def _judge_evidence(self, evidence: Evidence, control: list[ControlEvent]) -> None:
        place = evidence.place
        judge = Judge(self._expected, place) if self._expected is not None else None
        lineage = Lineage()
        with_ordinals = False
        for seen in evidence.changes():
            if not isinstance(seen, Seen):
                if judge is not None:
                    judge.see_unreadable(seen)
                continue
            if judge is not None:
                judge.see(seen)
            if seen.ordinal != NOT_KEPT:
                with_ordinals = True
                lineage.see(seen.shard, seen.ordinal)
        if judge is not None:
            self._verdict.findings.append(judge.conclude())
        if with_ordinals:
            self._verdict.lineages.append(lineage.conclude(place.name, place.region, control))

    def _evidence_of(self, name: str, section: AnyConsumer) -> Iterator[Evidence]:
        region = section.region
        aws = AwsClients(self._config.regions[region].aws)
        topic = self._config.feed
        match section:
            case AuditConsumer(sink=settings):
                store = ObjectStore(aws.client("s3"), settings.bucket)
                place = Place(name, region, bursts=True)
                yield AuditEvidence(place, store, settings.prefix, topic, self._reader)
            case ArchiveConsumer(sink=settings):
                store = ObjectStore(aws.client("s3"), settings.bucket)
                yield ArchiveEvidence(Place(name, region, ordered=False), store, settings.prefix, topic, self._reader)
            case WarehouseConsumer(sink=settings):
                yield PickEvidence(Place(name, region, bursts=True), aws.client("dynamodb"), settings.table)
            case NotificationConsumer(sink=settings):
                if self._expected is not None:  # rows of effects prove something only against what was written
                    wanted = Notified(frozenset(settings.templates))
                    place = Place(name, region, wanted=wanted, ordered=False)
                    client = aws.client("dynamodb")
                    yield NotificationEvidence(place, client, settings.table, self._expected, wanted)
            case AnalyticsConsumer(sink=settings, warehouse=warehouse):
                redshift = Redshift(aws.client("redshift-data"), warehouse)
                schema = image_schema(self._config.table.image_schema)
                tables = Tables(settings.warehouse_schema, settings.table, image_columns(schema))
                rows = RowReader(tables, schema, self._codec.image_to_dynamodb)
                yield HistoryEvidence(Place(f"{name} history", region, ordered=False), redshift, tables, rows)
                place = Place(f"{name} state", region, wanted=last_change, ordered=False)
                yield CurrentEvidence(place, redshift, tables, rows)

    def _count_dead_letters(self) -> None:
        home = self._config.table.region
        places = [(home, f"{self._config.feed}.dead-letter")]
        places += [(s.region, f"{self._config.feed}.{name}.dead-letter") for name, s in self._config.consumers.items()]
        for region, topic in places:
            records = self._topic_readers([region], topic)[region].records()
            for letter in open_letters(letters_of(stored(message) for message in records)):
                where = f"{region} {topic} offset {letter.offset}"
                self._verdict.dead_letters.add(f"{where}: {letter.origin}: {letter.reason}"[:400])

    def _guard(self, what: str, read: Callable[[], None]) -> None:
        """A place that cannot be read is a fault of the verdict; the others are still read."""
        try:
            read()
        except (FeedError, ClientError, BotoCoreError) as error:
            self._verdict.unread.append(f"{what}: {error}")


def verify(config: FeedConfig, ledger: Path | None, say: Say = lambda _: None) -> Verdict:
    """Read and judge everything that ``config`` names, by ordinals, and against ``ledger`` where there is one.

    Raises:
        ConfigError: there is no such ledger, or it proves nothing.
    """
    return Verification(config, ledger, say).run()
