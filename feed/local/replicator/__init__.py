"""A stand-in for DynamoDB's global tables: copies a table of DynamoDB Local to other regions, some time later.

Promises: every change of the home table reaches each replica, in order for each key, ``delay_ms`` after it was read
from the stream; after a restart the replicas are brought up to the table and followed on. It is no global table: it
copies one way, and a replica is called ``<table>-<region>`` (:func:`replica_table`), since DynamoDB Local has one
database for all regions when its state is on disk. A process of its own: ``python -m feed.local.replicator --help``.
"""

from feed.local.replicator.copying import Follower, Later, Replica, Write, replica_table
from feed.local.replicator.part import Replicator

__all__ = ["Follower", "Later", "Replica", "Replicator", "Write", "replica_table"]
