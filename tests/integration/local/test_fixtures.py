"""The fixtures of ``feed.testing``, each used once as a reader of the docs would."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from feed.local import Ministack, ObjectStore
from feed.testing import KafkaBroker, Regions, RollingTable, Table

pytestmark = pytest.mark.integration


def read(bootstrap: str, topic: str, count: int, within_s: float, partitions: int = 4) -> list[tuple[bytes, bytes]]:
    """The first ``count`` committed records of all partitions, or what came within the bound."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reads-by-assign", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    got: list[tuple[bytes, bytes]] = []
    until = time.monotonic() + within_s
    try:
        while len(got) < count and time.monotonic() < until:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                got.append((message.key() or b"", message.value() or b""))
    finally:
        consumer.close()
    return got


def test_a_record_goes_through_the_broker(kafka_broker: KafkaBroker, kafka_topic: Callable[..., str]) -> None:
    """What is produced to a new topic of the shared broker can be read back."""
    topic = kafka_topic(partitions=2)
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap})
    producer.produce(topic, key=b"k", value=b"v")
    assert producer.flush(10) == 0
    assert read(kafka_broker.bootstrap, topic, 1, 10, partitions=2) == [(b"k", b"v")]


def test_a_mirrored_feed_arrives_everywhere_once(regions: Regions, mirrored_feed: str) -> None:
    """Committed records are copied to every region once, aborted ones nowhere."""
    producer = Producer({"bootstrap.servers": regions.bootstrap("eu"), "transactional.id": mirrored_feed})
    producer.init_transactions(30)
    for batch, commit in ((0, True), (1, False), (2, True)):
        producer.begin_transaction()
        for number in range(50):
            producer.produce(mirrored_feed, key=f"{batch}-{number}", value=str(number))
        producer.flush(10)
        if commit:
            producer.commit_transaction(10)
        else:
            producer.abort_transaction(10)
    expected = sorted(read(regions.bootstrap("eu"), mirrored_feed, 100, 20))
    assert len(expected) == 100
    for region in ("us", "ap"):
        assert sorted(read(regions.bootstrap(region), mirrored_feed, 100, 60)) == expected
        assert len(read(regions.bootstrap(region), mirrored_feed, 101, 2)) == 100, "nothing came after the last one"


def test_a_table_has_a_stream(dynamodb_table: Callable[..., Table]) -> None:
    """A put shows up in the stream of a new table in memory."""
    table = dynamodb_table()
    table.aws.client("dynamodb").put_item(TableName=table.name, Item={"orderId": {"S": "o1"}})
    streams = table.aws.client("dynamodbstreams")
    shard = streams.describe_stream(StreamArn=table.stream_arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=table.stream_arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    assert [r["eventName"] for r in streams.get_records(ShardIterator=iterator)["Records"]] == ["INSERT"]


def stream_by_shard(table: RollingTable) -> dict[str, list[str]]:
    """The keys of every shard's records, as a reader of the stream gets them."""
    streams = table.aws.client("dynamodbstreams")
    shards = streams.describe_stream(StreamArn=table.stream_arn)["StreamDescription"]["Shards"]
    found: dict[str, list[str]] = {}
    for shard in shards:
        iterator: str | None = streams.get_shard_iterator(
            StreamArn=table.stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found[shard["ShardId"]] = []
        while iterator:
            answer = streams.get_records(ShardIterator=iterator)
            found[shard["ShardId"]] += [r["dynamodb"]["Keys"]["orderId"]["S"] for r in answer["Records"]]
            iterator = answer.get("NextShardIterator") if answer["Records"] else None
    return found


def put(table: RollingTable, count: int, write: int) -> None:
    for number in range(count):
        item = {"orderId": {"S": f"o{number:03d}"}, "write": {"N": str(write)}}
        table.aws.client("dynamodb").put_item(TableName=table.name, Item=item)


def test_shards_roll_and_split_as_on_aws(rolling_table: Callable[..., RollingTable]) -> None:
    """After a roll and two splits each key's writes lie on one line of descent, and no record is lost or doubled."""
    table = rolling_table()
    put(table, 40, 1)
    first = table.shards.roll()
    put(table, 40, 2)
    second = table.shards.split(2)
    put(table, 40, 3)
    third = table.shards.split(2)
    put(table, 40, 4)
    assert [len(children) for family in (first, second, third) for children in family.values()] == [1, 2, 2, 2]
    held = stream_by_shard(table)
    assert sorted(key for keys in held.values() for key in keys) == sorted(
        f"o{n:03d}" for n in range(40) for _ in range(4)
    )
    parents = {shard.shard_id: shard.parent_id for shard in table.shards.shards()}
    leaves = [shard.shard_id for shard in table.shards.shards() if shard.is_open]
    assert len(leaves) == 4
    assert all(held[leaf] for leaf in leaves), "every leaf got keys"
    for leaf in leaves:
        for key in held[leaf]:
            shard: str | None = leaf
            line = []
            while shard is not None:
                line += [k for k in held[shard] if k == key]
                shard = parents[shard]
            assert len(line) == 4


def test_one_shard_is_split_and_the_others_stay(rolling_table: Callable[..., RollingTable]) -> None:
    """Shards may have different shares of the keys: each key still has one line of descent, and one open shard."""
    table = rolling_table()
    table.shards.split(2)
    first, second = (shard.shard_id for shard in table.shards.shards() if shard.is_open)
    assert [len(children) for children in table.shards.split(3, [first]).values()] == [3]
    assert table.shards.roll([second]).keys() == {second}
    put(table, 40, 1)
    leaves = {shard.shard_id for shard in table.shards.shards() if shard.is_open}
    held = stream_by_shard(table)
    assert len(leaves) == 4
    assert sorted(key for leaf in leaves for key in held[leaf]) == sorted(f"o{n:03d}" for n in range(40))
    assert all(held[leaf] for leaf in leaves)


def test_the_first_record_after_a_split_is_seen_by_who_waits_for_it(
    rolling_table: Callable[..., RollingTable],
) -> None:
    """Split before anything was written: an iterator at the child's horizon gives the very first record."""
    table = rolling_table()
    table.shards.split(2)
    streams = table.aws.client("dynamodbstreams")
    where = {"StreamArn": table.stream_arn, "ShardIteratorType": "TRIM_HORIZON"}
    leaves = [shard.shard_id for shard in table.shards.shards() if shard.is_open]
    tokens = [streams.get_shard_iterator(ShardId=leaf, **where)["ShardIterator"] for leaf in leaves]
    put(table, 1, 1)
    assert sum(len(streams.get_records(ShardIterator=token)["Records"]) for token in tokens) == 1


def test_aged_records_are_trimmed(rolling_table: Callable[..., RollingTable]) -> None:
    """Records made to look 25 hours old are refused as trimmed."""
    table = rolling_table()
    put(table, 3, 1)
    streams = table.aws.client("dynamodbstreams")
    shard = table.shards.shards()[0].shard_id
    table.shards.age(25)
    iterator = streams.get_shard_iterator(StreamArn=table.stream_arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    with pytest.raises(streams.exceptions.TrimmedDataAccessException):
        streams.get_records(ShardIterator=iterator)


def test_an_object_is_locked(s3_server: ObjectStore, s3_bucket: Callable[..., str]) -> None:
    """A bucket with Object Lock is one."""
    bucket = s3_bucket(object_lock=True)
    lock = s3_server.client().get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"


def test_ministack_shows_what_was_sent(ministack: Ministack) -> None:
    """The list of sent mail can be read, empty at first."""
    assert httpx.get(f"{ministack.endpoint}/_ministack/ses/messages").status_code == 200
