"""Names that no other test has, so that sessions of parts can be shared by all tests."""

from __future__ import annotations

import uuid


def unique_name(prefix: str = "t") -> str:
    """``<prefix>-<10 hex digits>``: valid for a topic, a table, a bucket, a group, a transactional id."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"
