"""Three regions on one machine, of real parts: Kafka, MirrorMaker 2, DynamoDB Local, S3, SES/SNS/SQS.

What it promises:

* every part is real software in a process (or a container) of its own, with an address that is known before it starts
  and is kept when it is killed and started again;
* starting is parallel, and waits, within a bound, until the part answers; a failure quotes the part's log and names
  the file;
* nothing is left running when the owner ends in any way, ``kill -9`` included (``guardian``);
* parts can be made to fail: killed, frozen, cut off, slowed (``Part``, ``Link``).

``Stack`` runs them all; ``feed.testing`` has them as pytest fixtures.
"""

from feed.local.broker import Broker
from feed.local.cluster import BrokerCluster
from feed.local.dynamodb import DynamoDbLocal
from feed.local.guardian import Guardian
from feed.local.link import Link
from feed.local.ministack import Ministack
from feed.local.mirror import Mirror
from feed.local.object_store import ObjectStore
from feed.local.part import Part, ProcessPart, Site
from feed.local.ports import free_port
from feed.local.program import Program
from feed.local.settings import LocalSettings
from feed.local.shards import ShardControl
from feed.local.stack import Stack
from feed.local.stack_plan import StackPlan

__all__ = [
    "Broker",
    "BrokerCluster",
    "DynamoDbLocal",
    "Guardian",
    "Link",
    "LocalSettings",
    "Ministack",
    "Mirror",
    "ObjectStore",
    "Part",
    "ProcessPart",
    "Program",
    "ShardControl",
    "Site",
    "Stack",
    "StackPlan",
    "free_port",
]
