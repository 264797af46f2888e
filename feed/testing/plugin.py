"""The pytest plugin: real parts as fixtures. ``feed.testing`` has the list.

It is loaded by every pytest run where changefeed is installed, so it imports the parts only when a fixture asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from feed.local import DynamoDbLocal, Ministack, ObjectStore, ProcessPart, Site
    from feed.testing.regions import KafkaBroker, Regions
    from feed.testing.tables import RollingTable, Table

P = TypeVar("P", bound="ProcessPart")

# MirrorMaker copies topics whose names it was told: a test takes the next of these
FEEDS_TO_TAKE = 64


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--regions`` and ``--kafka-image``."""
    group = parser.getgroup("changefeed")
    group.addoption(
        "--regions",
        choices=("processes", "containers"),
        default="processes",
        help="what brokers and mirrors run on: JVM processes of this machine (default), or containers",
    )
    group.addoption(
        "--kafka-image",
        default=None,
        help="with --regions containers: an image with the layout of apache/kafka; by default apache/kafka itself, "
        "or one that is built here where no registry can be reached",
    )


@pytest.fixture(scope="session")
def local_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Where this session's parts live; their logs stay in pytest's base folder."""
    from feed.local import Guardian, LocalSettings, Site  # noqa: PLC0415 - only when asked for

    root = tmp_path_factory.mktemp("parts")
    guardian = Guardian()
    state_dir = root / "state"
    state_dir.mkdir()
    guardian.delete_later(state_dir)
    yield Site(state_dir, root / "logs", guardian, LocalSettings(), disposable=True)
    guardian.close()


@contextmanager
def _running(part: P) -> Iterator[P]:
    try:
        part.start()
        part.wait_ready()
        yield part
    finally:
        part.finish()


@pytest.fixture(scope="session")
def kafka_broker(request: pytest.FixtureRequest, local_site: Site) -> Iterator[KafkaBroker]:
    """One broker; tests share it and make topics of their own (``kafka_topic``)."""
    if request.config.getoption("--regions") == "containers":
        from feed.local.container_regions import ContainerRegions  # noqa: PLC0415 - only when asked for

        image = request.config.getoption("--kafka-image")
        with ContainerRegions(("solo",), feeds=("orders",), image=image) as containers:
            containers.start()
            yield containers.broker("solo")
        return
    from feed.local import Broker  # noqa: PLC0415 - only when asked for
    from feed.local.jars import kafka_jars  # noqa: PLC0415
    from feed.local.tools import require_java  # noqa: PLC0415

    settings = local_site.settings
    java = require_java(install=settings.install_missing)
    with _running(Broker("solo", local_site, java=java, jars=kafka_jars(settings))) as broker:
        yield broker


@pytest.fixture(scope="session")
def regions(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Regions]:
    """The regions eu, us and ap with mirrors; tests share them and take feeds of their own (``mirrored_feed``)."""
    from feed.local import LocalSettings  # noqa: PLC0415 - only when asked for
    from feed.testing.regions import three_regions  # noqa: PLC0415

    with three_regions(
        backend=request.config.getoption("--regions"),
        image=request.config.getoption("--kafka-image"),
        feeds=("orders", *(f"feed-{number}" for number in range(FEEDS_TO_TAKE))),
        create=(),
        settings=LocalSettings(log_dir=tmp_path_factory.mktemp("regions")),
    ) as running:
        yield running


@pytest.fixture(scope="session")
def _feeds_to_take() -> Iterator[str]:
    return (f"feed-{number}" for number in range(FEEDS_TO_TAKE))


@pytest.fixture
def mirrored_feed(regions: Regions, _feeds_to_take: Iterator[str]) -> str:
    """A feed that no other test has: its topics, of four partitions, exist in every region and are mirrored.

    MirrorMaker notices a new topic within some five seconds.
    """
    from feed.testing.regions import create_feed_topics  # noqa: PLC0415 - only when asked for

    feed = next(_feeds_to_take)
    create_feed_topics(regions, (feed,), partitions=4)
    return feed


def _dynamodb(site: Site, *, on_disk: bool) -> DynamoDbLocal:
    from feed.local import DynamoDbLocal  # noqa: PLC0415 - only when asked for
    from feed.local.jars import dynamodb_jars  # noqa: PLC0415
    from feed.local.tools import require_java  # noqa: PLC0415

    java = require_java(install=site.settings.install_missing)
    name = "dynamodb-on-disk" if on_disk else "dynamodb"
    return DynamoDbLocal(site, java=java, jars=dynamodb_jars(site.settings), on_disk=on_disk, name=name)


@pytest.fixture(scope="session")
def dynamodb_local(local_site: Site) -> Iterator[DynamoDbLocal]:
    """DynamoDB Local in memory, tables and streams."""
    with _running(_dynamodb(local_site, on_disk=False)) as server:
        yield server


@pytest.fixture(scope="session")
def dynamodb_on_disk(local_site: Site) -> Iterator[DynamoDbLocal]:
    """DynamoDB Local on a file, so that shards can be rolled, split and aged."""
    with _running(_dynamodb(local_site, on_disk=True)) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(local_site: Site) -> Iterator[ObjectStore]:
    """The S3 server."""
    from feed.local import ObjectStore  # noqa: PLC0415 - only when asked for

    with _running(ObjectStore(local_site)) as server:
        yield server


@pytest.fixture(scope="session")
def ministack(local_site: Site) -> Iterator[Ministack]:
    """SES, SNS and SQS."""
    from feed.local import Ministack  # noqa: PLC0415 - only when asked for
    from feed.local.ministack import install  # noqa: PLC0415

    with _running(Ministack(local_site, environment=install(local_site.settings))) as server:
        yield server


@pytest.fixture
def unique_name() -> Callable[[str], str]:
    """``unique_name("orders")`` → ``orders-3fa9c1d2e0``."""
    from feed.testing.names import unique_name as make  # noqa: PLC0415 - only when asked for

    return make


@pytest.fixture
def kafka_topic(kafka_broker: KafkaBroker) -> Callable[..., str]:
    """``kafka_topic(partitions=4, settings={"cleanup.policy": "compact"}, name=None)`` → the new topic's name."""
    from feed.testing.names import unique_name as make  # noqa: PLC0415 - only when asked for
    from feed.testing.regions import create_topics  # noqa: PLC0415

    def create(partitions: int = 1, *, settings: Mapping[str, str] | None = None, name: str | None = None) -> str:
        topic = name or make("topic")
        create_topics(kafka_broker.bootstrap, {topic: partitions}, settings=settings)
        return topic

    return create


@pytest.fixture
def dynamodb_table(dynamodb_local: DynamoDbLocal) -> Callable[..., Table]:
    """``dynamodb_table(key="orderId", sort_key=None)`` → a new ``Table`` (name, stream_arn, aws) in memory."""
    from feed.testing.tables import new_table  # noqa: PLC0415 - only when asked for

    return partial(new_table, dynamodb_local.endpoint)


@pytest.fixture
def rolling_table(dynamodb_on_disk: DynamoDbLocal) -> Callable[..., RollingTable]:
    """``rolling_table(key="orderId", sort_key=None)`` → a new ``RollingTable`` (…, shards: ``ShardControl``)."""
    from feed.testing.tables import new_rolling_table  # noqa: PLC0415 - only when asked for

    return partial(new_rolling_table, dynamodb_on_disk)


@pytest.fixture
def s3_bucket(s3_server: ObjectStore) -> Callable[..., str]:
    """``s3_bucket(object_lock=False)`` → the new bucket's name."""
    from feed.testing.names import unique_name as make  # noqa: PLC0415 - only when asked for

    def create(*, object_lock: bool = False) -> str:
        bucket = make("bucket")
        s3_server.client().create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=object_lock)
        return bucket

    return create
