"""A warehouse in memory: the local Data API's engine behind boto3's calls, without HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from connectors.redshift import Redshift, RedshiftSettings
from feed.local.data_api import Engine, Refused
from feed.local.data_api.http import Api, Unknown
from tests.unit.memory_store import MemoryStore


class BucketReader:
    """What COPY needs of boto3's S3 client."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        stored = self._store.get(Key)
        if stored is None:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        return {"Body": io.BytesIO(stored.body)}


class DataApiClient:
    """What the connector needs of boto3's ``redshift-data`` client; ``submitting`` and ``describing`` may fail."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._api = Api(engine)
        self.batches = 0
        self.submitting: Callable[[str], None] = lambda when: None
        self.describing: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer

    def execute_statement(self, **body: Any) -> dict[str, Any]:
        return self._call("ExecuteStatement", body)

    def batch_execute_statement(self, **body: Any) -> dict[str, Any]:
        self.submitting("before")
        answer = self._call("BatchExecuteStatement", body)
        self.batches += 1
        self.submitting("after")
        return answer

    def describe_statement(self, **body: Any) -> dict[str, Any]:
        statement = self._engine.find(body["Id"])
        if statement is not None:
            statement.done.wait(10)
        return self.describing(self._call("DescribeStatement", body))

    def cancel_statement(self, **body: Any) -> dict[str, Any]:
        return self._call("CancelStatement", body)

    def get_paginator(self, name: str) -> Any:
        assert name == "get_statement_result"
        client = self

        class Pages:
            def paginate(self, **body: Any) -> Iterator[dict[str, Any]]:
                while True:
                    answer = client._call("GetStatementResult", body)
                    yield answer
                    if "NextToken" not in answer:
                        return
                    body = body | {"NextToken": answer["NextToken"]}

        return Pages()

    def _call(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._api.operations[name](body)
        except (Refused, Unknown) as refused:
            code = "ResourceNotFoundException" if isinstance(refused, Unknown) else "ValidationException"
            raise ClientError(
                {"Error": {"Code": code, "Message": str(refused)}, "ResponseMetadata": {"HTTPStatusCode": 400}}, name
            ) from refused


class MemoryWarehouse:
    """An engine over a bucket; it outlives the processes that load into it."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.engine = Engine(":memory:", BucketReader(store))  # type: ignore[arg-type]  # the one call that is made

    def connect(self) -> tuple[Redshift, DataApiClient]:
        """A connection of a new process."""
        client = DataApiClient(self.engine)
        settings = RedshiftSettings(workgroup="memory", copy_role="arn:aws:iam::1:role/copy", poll_interval_ms=10)
        return Redshift(client, settings, sleep=lambda seconds: None), client  # type: ignore[arg-type]  # as above

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query."""
        redshift, _ = self.connect()
        return redshift.query(sql)
