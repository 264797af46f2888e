"""Everything a demo runs on: the parts, the topics, tables and buckets, and the feed's own processes among them."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from botocore.exceptions import ClientError

from connectors.aws import AwsClients, aws_error_code
from connectors.dynamodb import EffectTable, Update, create_effect_table
from connectors.messaging import SesSettings
from connectors.s3 import BucketSpec, ensure_bucket
from consumers.audit import anchors
from consumers.notification import NotificationSettings, claims
from consumers.warehouse import picks
from feed.config import FeedConfig
from feed.config.consumers import (
    AnalyticsConsumer,
    AnyConsumer,
    ArchiveConsumer,
    AuditConsumer,
    NotificationConsumer,
    WarehouseConsumer,
)
from feed.demo.local_config import write_local_config
from feed.demo.plan import AWS_REGIONS, CONSUMER_REGIONS, FEED, HOME, DemoPlan
from feed.demo.scrape import fetch
from feed.local import LocalSettings, Program, Stack, StackPlan, free_port
from feed.local.data_api import DataApi
from feed.local.replicator import Replicator, replica_table
from feed.run.topics import apply_topics

PRODUCER: Final = "producer"

READY_BOUND_S: Final = 60.0
"""How long one of the feed's own processes may take until it is at work."""

WARM_UP_TABLE: Final = "warm-up"
WARM_UP_WRITES: Final = 2_000
WARM_UP_THREADS: Final = 4

Say = Callable[[str], None]
"""Takes a line about what is going on."""

_log = logging.getLogger(__name__)


class Estate:
    """The local regions with the whole feed on them. A context manager: leaving it stops everything."""

    def __init__(self, plan: DemoPlan, say: Say, *, settings: LocalSettings | None = None) -> None:
        self.plan = plan
        self._say = say
        say("looking for Java, jars and packages (the first time they are downloaded)")
        stack_plan = (
            StackPlan(regions=plan.regions) if plan.delay else StackPlan(regions=plan.regions, round_trips_ms={})
        )
        self.stack = Stack(stack_plan, settings=settings, data_dir=plan.data_dir)
        try:
            if "analytics" in plan.consumers:
                s3 = self.stack.s3
                self.stack.add(
                    DataApi(
                        self.stack.site,
                        s3_endpoint=s3.endpoint,
                        access_key_id=s3.access_key_id,
                        secret_access_key=s3.secret_access_key,
                    )
                )
            self._add_replicator()
            self.work_dir = self.stack.site.state_dir
            self.config_file = self.work_dir / "feed.yaml"
            self.config: FeedConfig = write_local_config(self.stack, plan, self.config_file)
            self.ports: dict[str, int] = {}
            for name in self.processes:
                self._add_process(name)
        except BaseException:
            self.stack.stop()
            raise

    @property
    def processes(self) -> tuple[str, ...]:
        """The feed's own processes: the producer, then the consumers."""
        return (PRODUCER, *self.plan.consumers)

    def start(self) -> None:
        """Start everything, in order; returns when all of it is at work.

        Raises:
            FatalError: a part did not come up; the message quotes its log.
        """
        began = time.monotonic()
        self._say(
            f"starting {len(self.plan.regions)} Kafka clusters, DynamoDB Local, S3, mail and the way between them"
        )
        self.stack.start(before_mirrors=self._prepare)
        self._say(f"all servers answer after {time.monotonic() - began:.0f} s; starting {', '.join(self.processes)}")
        with ThreadPoolExecutor(len(self.processes)) as pool:
            list(pool.map(self._start_process, self.processes))
        warm_up(self.aws(HOME))
        self._say(f"the feed is at work after {time.monotonic() - began:.0f} s; logs: {self.stack.site.log_dir}")

    def aws(self, region: str) -> AwsClients:
        """AWS clients of a region's stand-ins."""
        return AwsClients(self.config.regions[region].aws)

    def stop(self) -> None:
        """Stop everything."""
        self.stack.stop()

    def description(self) -> dict[str, Any]:
        """Every address, for a person and for :mod:`feed.demo.running`."""
        return {
            **self.stack.description(),
            "config": str(self.config_file),
            "metrics": {name: f"http://127.0.0.1:{port}/metrics" for name, port in self.ports.items()},
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _add_replicator(self) -> None:
        plan, region = self.plan, CONSUMER_REGIONS["warehouse"]
        if plan.replica_delay_ms is not None and region in plan.regions:
            self.stack.add(
                Replicator(
                    self.stack.site,
                    endpoint=self.stack.endpoint("dynamodb"),
                    table=FEED,
                    home=AWS_REGIONS[HOME],
                    replicas={AWS_REGIONS[region]: replica_table(FEED, region)},
                    delay_ms=plan.replica_delay_ms,
                )
            )

    def _add_process(self, name: str) -> None:
        port = self.ports[name] = free_port()
        what = ["producer"] if name == PRODUCER else ["consumer", name]
        argv = [sys.executable, "-m", "feed", "run", *what, "-c", str(self.config_file), "--metrics-port", str(port)]
        self.stack.add(
            Program(
                name,
                self.stack.site,
                argv=argv,
                is_up=partial(_is_ready, port),
                addresses={"metrics": f"http://127.0.0.1:{port}/metrics"},
            )
        )

    def _start_process(self, name: str) -> None:
        part = self.stack.part(name)
        part.start()
        part.wait_ready(READY_BOUND_S)

    def _prepare(self, stack: Stack) -> None:
        """Between the servers and the mirrors: topics first, or MirrorMaker would make them as it likes."""
        self._say("creating topics, the table, the stores")
        apply_topics(self.config)
        make_table(self.aws(HOME), self.config)
        for section in self.config.consumers.values():
            make_stores(self.aws(section.region), section)
        for name in ("warehouse-db", "replicator"):
            if name in stack.parts:
                stack.part(name).start()
                stack.part(name).wait_ready()
        if "replicator" in stack.parts:
            self._say(f"a stand-in for a global table copies the table, {self.plan.replica_delay_ms} ms late")


def warm_up(aws: AwsClients) -> None:
    """Make DynamoDB Local compile its conditional updates, on a table of its own.

    Its first thousand cost several times what later ones do: seconds of delay that say nothing about the feed.
    """
    client = aws.client("dynamodb")
    create_effect_table(client, WARM_UP_TABLE, picks.KEY)
    table = EffectTable(client, WARM_UP_TABLE, calls=aws.dynamodb_calls())
    update = Update(
        set_expression="SET #v = :v, #f = if_not_exists(#f, :v), #s = list_append(if_not_exists(#s, :none), :one)",
        condition="attribute_not_exists(#v) OR #v < :v",
        names={"#v": "version", "#f": "first", "#s": "seen"},
        values={":v": {"S": "1"}, ":none": {"L": []}, ":one": {"L": [{"S": "1"}]}},
    )
    with ThreadPoolExecutor(WARM_UP_THREADS) as pool:
        keys = ({picks.KEY: {"S": str(number // 2)}} for number in range(WARM_UP_WRITES))
        list(pool.map(lambda key: table.update_if(key, update), keys))
    client.delete_table(TableName=WARM_UP_TABLE)


def make_table(aws: AwsClients, config: FeedConfig) -> None:
    """The table that is read, with its stream; one that is there is left as it is."""
    name, key = config.table.name, config.table.key[0]
    client = aws.client("dynamodb")
    try:
        client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
    except ClientError as error:
        if aws_error_code(error) != "ResourceInUseException":
            raise
        _log.info("table is there name=%s", name)


def make_stores(aws: AwsClients, section: AnyConsumer) -> None:
    """The table or the bucket that a consumer's sink writes to; what is there is left as it is."""
    match section:
        case WarehouseConsumer(sink=settings):
            create_effect_table(aws.client("dynamodb"), settings.table, picks.KEY)
        case NotificationConsumer(sink=settings):
            create_effect_table(aws.client("dynamodb"), settings.table, claims.KEY)
            verify_sender(aws, settings)
        case AuditConsumer(sink=settings):
            ensure_bucket(aws.client("s3"), BucketSpec(settings.bucket, aws.settings.region, object_lock=True))
            if settings.anchor_table is not None:
                create_effect_table(aws.client("dynamodb"), settings.anchor_table, anchors.KEY_ATTRIBUTE)
        case ArchiveConsumer(sink=settings):
            spec = BucketSpec(settings.bucket, aws.settings.region, expire_days=settings.expire_days)
            ensure_bucket(aws.client("s3"), spec)
        case AnalyticsConsumer(sink=settings):
            spec = BucketSpec(settings.bucket, aws.settings.region, expire_days=settings.expire_days)
            ensure_bucket(aws.client("s3"), spec)


def verify_sender(aws: AwsClients, settings: NotificationSettings) -> None:
    """SES sends only from addresses that were verified; the local stand-in verifies at once."""
    if isinstance(settings.messenger, SesSettings):
        try:
            aws.client("sesv2").create_email_identity(EmailIdentity=settings.messenger.sender)
        except ClientError as error:
            if aws_error_code(error) != "AlreadyExistsException":
                raise


def _is_ready(port: int) -> bool:
    return fetch(port, "/readyz") is not None
