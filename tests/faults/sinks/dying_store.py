"""A store whose process may die around each PUT: ``before-upload`` and ``after-upload``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from connectors.s3 import ObjectStore, PutOutcome


class DyingStore(ObjectStore):
    """A store whose ``passing`` is called at each point of an upload; set it before the first call."""

    passing: Callable[[str], None]

    def put_create_only(
        self,
        key: str,
        body: bytes,
        metadata: Mapping[str, str] | None = None,
        *,
        retain_until: datetime | None = None,
        content_type: str = "application/octet-stream",
    ) -> PutOutcome:
        """The PUT between its two points."""
        self.passing("before-upload")
        outcome = super().put_create_only(key, body, metadata, retain_until=retain_until, content_type=content_type)
        self.passing("after-upload")
        return outcome
