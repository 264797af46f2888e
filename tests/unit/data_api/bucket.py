"""A bucket as far as COPY needs one."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError


class FakeS3:
    """The one call that COPY makes."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_table(self, key: str, table: pa.Table) -> int:
        out = io.BytesIO()
        pq.write_table(table, out)
        self.objects[key] = out.getvalue()
        return len(out.getvalue())

    def put_manifest(self, key: str, entries: list[tuple[str, int]]) -> None:
        self.objects[key] = json.dumps(
            {"entries": [{"url": f"s3://b/{k}", "mandatory": True, "meta": {"content_length": n}} for k, n in entries]}
        ).encode()
