"""Real parts for tests of code that talks to Kafka and DynamoDB Streams, one broker or three mirrored regions.

As pytest fixtures (the plugin comes with ``pip install "changefeed[local,testing]"``; nothing to import):

========================  =======  ==============================================================================
fixture                   scope    what it is
========================  =======  ==============================================================================
``kafka_broker``          session  one broker (``Broker``): ``.bootstrap``, ``.kill()``, ``.restart()``
``regions``               session  ``Regions`` eu, us, ap; MirrorMaker from eu to the others, exactly once
``dynamodb_local``        session  DynamoDB and its streams in memory (``.endpoint``)
``dynamodb_on_disk``      session  the same in a file, whose shards ``shards`` rolls, splits and ages
``s3_server``             session  S3 with Object Lock (``.endpoint``, ``.access_key_id``, ``.secret_access_key``)
``ministack``             session  SES, SNS and SQS (``.endpoint``)
``unique_name``           test     ``unique_name("orders")`` → a name that no other test has
``kafka_topic``           test     ``kafka_topic(partitions=4)`` → a new topic on ``kafka_broker``
``mirrored_feed``         test     a new feed's name; its topics exist in every region of ``regions``, mirrored
``dynamodb_table``        test     ``dynamodb_table()`` → a new ``Table`` (name, stream_arn, aws) on ``dynamodb_local``
``rolling_table``         test     the same on ``dynamodb_on_disk``, with ``.shards`` (``ShardControl``)
``s3_bucket``             test     ``s3_bucket(object_lock=True)`` → a new bucket on ``s3_server``
``local_site``            session  where parts of one's own may live: ``Program("mine", local_site, argv=…)``
========================  =======  ==============================================================================

Parts are started when a test first asks for them and are gone when the session ends, in any way. ``--regions
containers`` runs the brokers and mirrors as containers instead of processes; the fixtures look the same.

Without pytest::

    from feed.testing import three_regions

    with three_regions(feeds=("orders",)) as regions:
        regions.bootstrap("us")
        regions.kill("mirror-us")
        regions.restart("mirror-us")
        regions.isolate("ap")

``until(condition, what, within_s=…)`` waits for what another process does, within a bound.
"""

from feed.local.shards import ShardControl
from feed.testing.names import unique_name
from feed.testing.regions import KafkaBroker, Regions, create_topics, three_regions
from feed.testing.tables import RollingTable, Table, aws_settings, create_table
from feed.testing.waiting import until

__all__ = [
    "KafkaBroker",
    "Regions",
    "RollingTable",
    "ShardControl",
    "Table",
    "aws_settings",
    "create_table",
    "create_topics",
    "three_regions",
    "unique_name",
    "until",
]
