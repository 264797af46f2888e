"""S3: objects that are created once and never overwritten, and the buckets they need.

Promises: a name that is taken is told apart from a write that lost a race (412 and 409); every call ends within the
client's bounds; every error is one of :mod:`schemas.errors`.
"""

from connectors.s3.buckets import BucketSpec, ensure_bucket
from connectors.s3.objects import ObjectHead, ObjectStore, PutOutcome, StoredObject, Version
from connectors.s3.plans import BucketPlan, apply_bucket_plan, plan_expiring_bucket

__all__ = [
    "BucketPlan",
    "BucketSpec",
    "ObjectHead",
    "ObjectStore",
    "PutOutcome",
    "StoredObject",
    "Version",
    "apply_bucket_plan",
    "ensure_bucket",
    "plan_expiring_bucket",
]
