"""The Data API's protocol (JSON 1.1 over HTTP): requests to the engine, statements to answers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from feed.local.data_api.engine import Engine
from feed.local.data_api.parameters import with_values
from feed.local.data_api.statements import Busy, Refused, Statement, Status, SubStatement

MAX_REQUEST_BYTES: Final = 8 * 1024 * 1024
MAX_WAIT_S: Final = 30
"""Longest that DescribeStatement waits for an end."""
PAGE_ROWS: Final = 1_000
"""Rows of one page of a result."""

_TARGETS: Final = ("WorkgroupName", "ClusterIdentifier", "Database", "DbUser", "SecretArn")


class Unknown(Exception):  # noqa: N818 - an answer of the service
    """There is no such statement."""


class Api:
    """The operations, by name."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "ExecuteStatement": lambda body: self._submit(body, [body["Sql"]], batch=False),
            "BatchExecuteStatement": lambda body: self._submit(body, body["Sqls"], batch=True),
            "DescribeStatement": self._describe,
            "GetStatementResult": self._result,
            "CancelStatement": self._cancel,
            "ListStatements": lambda _body: {"Statements": [_head(entry) for entry in self._engine.statements()]},
        }

    def _submit(self, body: dict[str, Any], sqls: list[str], *, batch: bool) -> dict[str, Any]:
        target = {name: body[name] for name in _TARGETS if body.get(name)}
        if ("WorkgroupName" in target) == ("ClusterIdentifier" in target):
            raise Refused("Either WorkgroupName or ClusterIdentifier is needed, and not both")
        if "Database" not in target:
            raise Refused("Database is needed")
        if body.get("ExecutionMode", "TRANSACTION") != "TRANSACTION" or body.get("SessionId"):
            raise Refused("not emulated: ExecutionMode AUTO_COMMIT, sessions")
        given = {parameter["name"]: parameter["value"] for parameter in body.get("Parameters") or []}
        sqls = with_values(sqls, given) if given else sqls
        return _head(self._engine.submit(sqls, batch=batch, target=target, token=body.get("ClientToken", "")))

    def _find(self, statement_id: str) -> Statement:
        statement = self._engine.find(statement_id)
        if statement is None:
            raise Unknown("Query does not exist.")
        return statement

    def _cancel(self, body: dict[str, Any]) -> dict[str, Any]:
        self._find(body["Id"])
        self._engine.cancel(body["Id"])
        return {"Status": True}

    def _describe(self, body: dict[str, Any]) -> dict[str, Any]:
        statement = self._find(body["Id"])
        statement.done.wait(min(int(body.get("WaitTimeSeconds") or 0), MAX_WAIT_S))
        answer = _head(statement) | {
            "UpdatedAt": statement.updated_at,
            "Duration": statement.duration_ns,
            "HasResultSet": any(sub.rows is not None for sub in statement.subs),
            "QueryString": statement.subs[0].sql,
            "ResultRows": -1,
            "ResultSize": -1,
        }
        if statement.error:
            answer["Error"] = statement.error
        if statement.batch:
            answer["SubStatements"] = [_sub(sub) for sub in statement.subs]
        return answer

    def _result(self, body: dict[str, Any]) -> dict[str, Any]:
        statement = self._find(body["Id"])
        number = int(body["Id"].partition(":")[2] or 1)
        rows = statement.subs[number - 1].rows if number <= len(statement.subs) else None
        if statement.status is not Status.FINISHED or rows is None:
            raise Refused("Query does not have result. Please check query status with DescribeStatement.")
        start = int(body.get("NextToken") or 0)
        answer: dict[str, Any] = {
            "ColumnMetadata": [
                {"name": name, "label": name, "typeName": _type_name(kind)} for name, kind in rows.columns
            ],
            "Records": [[_field(value) for value in row] for row in rows.values[start : start + PAGE_ROWS]],
            "TotalNumRows": len(rows.values),
        }
        if start + PAGE_ROWS < len(rows.values):
            answer["NextToken"] = str(start + PAGE_ROWS)
        return answer


def _head(statement: Statement) -> dict[str, Any]:
    return {
        "Id": statement.id,
        "CreatedAt": statement.created_at,
        "Status": statement.status.value,
        **statement.target,
    }


def _sub(sub: SubStatement) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "Id": sub.id,
        "QueryString": sub.sql,
        "Status": sub.status.value,
        "HasResultSet": sub.rows is not None,
        "ResultRows": len(sub.rows.values) if sub.rows is not None else -1,
    }
    return answer | ({"Error": sub.error} if sub.error else {})


def _type_name(kind: str) -> str:
    return {"json": "super", "decimal": "numeric", "double": "float8"}.get(kind.partition("(")[0].lower(), kind.lower())


def _field(value: Any) -> dict[str, Any]:
    """A value as the Data API's Field union."""
    match value:
        case None:
            return {"isNull": True}
        case bool():
            return {"booleanValue": value}
        case int():
            return {"longValue": value}
        case float() if math.isfinite(value):
            return {"doubleValue": value}
        case datetime() | date() | Decimal():
            return {"stringValue": str(value)}
        case bytes():
            return {"stringValue": value.hex()}
        case _:
            return {"stringValue": str(value)}


def serve(engine: Engine, host: str, port: int) -> ThreadingHTTPServer:
    """A server that is bound but does not serve yet (``serve_forever``); port 0 takes a free one."""
    api = Api(engine)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60  # seconds that a kept connection may idle

        def log_message(self, *_: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            self._answer(200, {"status": "ready"})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if length > MAX_REQUEST_BYTES:
                self.close_connection = True
                self._answer(413, _error("ValidationException", f"at most {MAX_REQUEST_BYTES} bytes"))
                return
            name = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            self._answer(*_call(api, name, self.rfile.read(length)))

        def _answer(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    return server


def _call(api: Api, name: str, body: bytes) -> tuple[int, dict[str, Any]]:
    operation = api.operations.get(name)
    if operation is None:
        return 501, _error("UnknownOperationException", f"not emulated: {name}")
    try:
        return 200, operation(json.loads(body or b"{}"))
    except Unknown as unknown:
        return 400, _error("ResourceNotFoundException", str(unknown))
    except Busy as busy:
        return 400, _error("ActiveStatementsExceededException", str(busy))
    except (Refused, ValueError, KeyError) as refused:
        return 400, _error("ValidationException", str(refused))


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"__type": kind, "message": message, "Message": message}
