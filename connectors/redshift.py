"""Redshift through its Data API: no network route to the cluster, no driver, IAM for access.

A batch is one transaction, and its answer comes later: submit, then ask. Whether a statement whose fate is unknown has
committed, its own tables must say (the ledger of the loads); the token only keeps one request from running twice.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field, model_validator

from connectors.aws import aws_error_code, aws_error_of
from schemas.errors import FatalError, FeedError, RetryableError
from schemas.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_redshift_data import RedshiftDataAPIServiceClient

MAX_SQL_BYTES: Final = 100 * 1024
"""Size of one statement (quota of the Data API)."""

MAX_BATCH: Final = 40
"""Statements of one batch (quota of the Data API)."""

_BUSY: Final = frozenset(
    {
        "ActiveSessionsExceededException",
        "ActiveStatementsExceededException",
        "ActiveWaitingRequestsExceededException",
        "BatchExecuteStatementException",
        "DatabaseConnectionException",
        "ExecuteStatementException",
        "QueryTimeoutException",
        "ThrottlingException",
    }
)
"""What the service answers when the request is right and the time is not."""

_AWAY: Final = re.compile(
    r"paus|resum|resiz|reboot|restart|maintenance|unavailable|not available|endpoint doesn't exist"
    r"|connection (was |has been )?(closed|refused|reset|terminated)|terminating connection|administrator command",
    re.IGNORECASE,
)
"""Words of a cluster that is paused, resized or restarted, in a refused request or in a failed statement's error."""


_LOST_TO_ANOTHER: Final = re.compile(
    r"serializable isolation|could not serialize|deadlock detected|concurrent transaction", re.IGNORECASE
)
"""Words of a transaction that another one made impossible (Redshift's error 1023 and its kin): right, and to be tried
again, as its guide says (Serializable isolation)."""


class RedshiftSettings(Settings):
    """The data warehouse."""

    database: str = "dev"
    """Database in the cluster or workgroup."""
    workgroup: str | None = None
    """Name of the Redshift Serverless workgroup; this or `cluster`."""
    cluster: str | None = None
    """Identifier of the provisioned cluster; this or `workgroup`."""
    db_user: str | None = None
    """Database user on a provisioned cluster, for temporary credentials; left out: by the caller's IAM identity."""
    secret_arn: str | None = None
    """Secret with the database's user and password, where IAM is not used for them."""
    copy_role: str
    """ARN of the role with which the cluster reads the staged files from S3."""
    statement_timeout_ms: int = Field(default=600_000, ge=1_000)
    """How long a statement may take, its wait in the queue included, before it is given up as of unknown fate."""
    poll_interval_ms: int = Field(default=250, ge=10)
    """How often a running statement is asked for."""

    @model_validator(mode="after")
    def _one_target(self) -> RedshiftSettings:
        if (self.workgroup is None) == (self.cluster is None):
            raise ValueError("name either the workgroup (Serverless) or the cluster (provisioned)")
        return self


class StatementState(StrEnum):
    """What became of a statement."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    """The warehouse refuses what it says."""
    INTERRUPTED = "interrupted"
    """It was cancelled, or the cluster was paused or restarted under it: there is nothing wrong with itself."""
    UNKNOWN = "unknown"
    """The service does not know it (any more)."""


@dataclass(frozen=True, slots=True)
class StatementStatus:
    """State and reason."""

    state: StatementState
    error: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a query."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: int
    """Rows that there are, of which :attr:`rows` may be the first."""


class StatementError(RetryableError):
    """A statement failed, or its fate is unknown. Whether trying again makes sense, its caller knows."""


class Redshift:
    """One database, over the Data API.

    Args:
        client: boto3's ``redshift-data`` client.
        settings: where the database is.
        sleep: waits between two looks at a running statement, seconds.
        now_ms: the clock.
    """

    def __init__(
        self,
        client: RedshiftDataAPIServiceClient,
        settings: RedshiftSettings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.settings = settings
        self._client = client
        self._sleep = sleep
        self._now_ms = now_ms
        chosen = {
            "Database": settings.database,
            "WorkgroupName": settings.workgroup,
            "ClusterIdentifier": settings.cluster,
            "DbUser": settings.db_user,
            "SecretArn": settings.secret_arn,
        }
        self._target: dict[str, Any] = {name: value for name, value in chosen.items() if value}

    def submit(self, sqls: Sequence[str], *, token: str | None = None) -> str:
        """Start statements as one transaction; gives the id to ask for.

        Args:
            sqls: at most 40 statements of at most 100 KB.
            token: the same token does not start the same statements twice; left out: a new one.

        Raises:
            RetryableError: the service is away or busy.
            FatalError: it refuses the request itself.
        """
        if len(sqls) > MAX_BATCH or any(len(sql.encode()) > MAX_SQL_BYTES for sql in sqls):
            raise FatalError(
                f"the Data API takes {MAX_BATCH} statements of {MAX_SQL_BYTES} bytes: "
                f"there are {len(sqls)} of up to {max(len(sql.encode()) for sql in sqls)} bytes",
                hint="the image schema has too many or too long field names for one statement",
            )
        arguments = self._target | ({"ClientToken": token} if token else {})
        try:
            if len(sqls) == 1:
                return self._client.execute_statement(Sql=sqls[0], **arguments)["Id"]
            answer = self._client.batch_execute_statement(Sqls=list(sqls), **arguments)
        except (ClientError, BotoCoreError) as error:
            raise _error_of(error, "submitting a statement to the warehouse") from error
        return answer["Id"]

    def status(self, statement_id: str) -> StatementStatus:
        """What became of a statement.

        Raises:
            RetryableError: the service does not answer.
        """
        try:
            answer = self._client.describe_statement(Id=statement_id)
        except (ClientError, BotoCoreError) as error:
            if aws_error_code(error) == "ResourceNotFoundException":
                return StatementStatus(StatementState.UNKNOWN, "the service does not know the statement any more")
            raise _error_of(error, "asking for a statement of the warehouse") from error
        match answer["Status"]:
            case "FINISHED":
                return StatementStatus(StatementState.FINISHED)
            case "ABORTED":
                return StatementStatus(StatementState.INTERRUPTED, answer.get("Error", "it was cancelled"))
            case "FAILED":
                words = answer.get("Error", "no reason was given")
                passing = _AWAY.search(words) or _LOST_TO_ANOTHER.search(words)
                state = StatementState.INTERRUPTED if passing else StatementState.FAILED
                return StatementStatus(state, words)
            case _:
                return StatementStatus(StatementState.RUNNING)

    def cancel(self, statement_id: str) -> None:
        """Ask for a statement's end; whether it committed before, its tables must say.

        Raises:
            RetryableError: the service does not answer.
        """
        try:
            self._client.cancel_statement(Id=statement_id)
        except (ClientError, BotoCoreError) as error:
            if aws_error_code(error) in {"ValidationException", "ResourceNotFoundException"}:
                return  # it has ended, or is forgotten
            raise _error_of(error, "cancelling a statement of the warehouse") from error

    def wait(self, statement_id: str) -> None:
        """Return when a statement has finished.

        Raises:
            StatementError: it failed, or took longer than the settings allow.
        """
        until_ms = self._now_ms() + self.settings.statement_timeout_ms
        while True:
            status = self.status(statement_id)
            if status.state is StatementState.FINISHED:
                return
            if status.state is not StatementState.RUNNING:
                raise StatementError(f"the warehouse refused a statement: {status.error}", hint=_HINT)
            if self._now_ms() >= until_ms:
                raise StatementError(
                    f"a statement of the warehouse has not ended within {self.settings.statement_timeout_ms} ms",
                    hint="look at the warehouse's queue; the statement may still commit",
                )
            self._sleep(self.settings.poll_interval_ms / 1000)

    def run(self, sqls: Sequence[str], *, token: str | None = None) -> str:
        """Execute statements as one transaction and wait for its end; gives its id. Errors: submit's and wait's."""
        statement_id = self.submit(sqls, token=token)
        self.wait(statement_id)
        return statement_id

    def query(self, sql: str, *, token: str | None = None) -> list[dict[str, Any]]:
        """The rows of a query, each as column name → value. Errors: submit's and wait's."""
        answer = self.ask(sql, token=token)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    def ask(self, sql: str, *, token: str | None = None, at_most: int | None = None) -> Answer:
        """The answer to a query, its first ``at_most`` rows where that is given. Errors: submit's and wait's."""
        statement_id = self.run([sql], token=token)
        columns: tuple[str, ...] = ()
        rows: list[tuple[Any, ...]] = []
        total = 0
        try:
            for page in self._client.get_paginator("get_statement_result").paginate(Id=statement_id):
                columns = tuple(column.get("name", "") for column in page["ColumnMetadata"])
                total = page.get("TotalNumRows", 0)
                rows += [tuple(map(_value_of, record)) for record in page["Records"]]
                if at_most is not None and len(rows) >= at_most:
                    break
        except (ClientError, BotoCoreError) as error:
            raise _error_of(error, "reading a result of the warehouse") from error
        return Answer(columns, tuple(rows[:at_most]), max(total, len(rows)))


_HINT: Final = "the warehouse's own words say why; a load is tried again with back-off"


def _value_of(field: Any) -> Any:
    if field.get("isNull"):
        return None
    (value,) = field.values()
    return value


def _error_of(error: ClientError | BotoCoreError, doing: str) -> FeedError:
    code = aws_error_code(error)
    if code in _BUSY:
        return RetryableError(f"AWS is busy while {doing}: {error}", hint="it is tried again with back-off")
    if code == "ValidationException" and _AWAY.search(str(error)):
        return RetryableError(
            f"the warehouse is away while {doing}: {error}",
            hint="is the cluster paused or in maintenance, and its name right? It is tried again with back-off",
        )
    return aws_error_of(error, doing)
