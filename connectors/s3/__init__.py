"""S3: objects that are created once and never overwritten, and the buckets they need.

Promises: a name that is taken is told apart from a write that lost a race (412 and 409); every call ends within the
client's bounds; every error is one of :mod:`schemas.errors`.
"""

from connectors.s3.buckets import BucketSpec, ensure_bucket
from connectors.s3.objects import ObjectHead, ObjectStore, PutOutcome, StoredObject, Version

__all__ = ["BucketSpec", "ObjectHead", "ObjectStore", "PutOutcome", "StoredObject", "Version", "ensure_bucket"]
