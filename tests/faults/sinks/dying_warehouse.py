"""The loader's named points around a load: a connection to the warehouse that may end its process at each of them.

    before-load  everything is staged, the statement is not submitted
    in-load      the warehouse executes the batch (seen as STARTED, before its commit); the loader waits
    after-load   the batch and its ledger have committed; the loader has not heard of it

``before-upload`` and ``after-upload`` are the store's; both are passed once for each file and once for the manifest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from connectors.redshift import Redshift, StatementState, StatementStatus

LOAD_POINTS: Final = ("before-load", "in-load", "after-load")
"""The points of :class:`DyingRedshift`, in the order in which a load passes them."""

LOAD_STATEMENTS: Final = 6
"""A batch of so many statements or more is a load; queries and DDL have fewer."""

STARTED_WITHIN_S: Final = 5.0
"""So long a submitted batch is watched for its start; one that ends before it was seen has passed the point too."""


class DyingRedshift(Redshift):
    """A connection whose ``passing`` is called at each point of a load; set it before the first call."""

    passing: Callable[[str], None]
    _load = ""

    def submit(self, sqls: Sequence[str], *, token: str | None = None) -> str:
        """Pass ``before-load`` and ``in-load`` around the batch of a load."""
        if len(sqls) < LOAD_STATEMENTS:
            return super().submit(sqls, token=token)
        self.passing("before-load")
        self._load = super().submit(sqls, token=token)
        self._until_started(self._load)
        self.passing("in-load")
        return self._load

    def status(self, statement_id: str) -> StatementStatus:
        """Pass ``after-load`` when the load has committed and its caller is about to be told."""
        status = super().status(statement_id)
        if statement_id == self._load and status.state is StatementState.FINISHED:
            self.passing("after-load")
        return status

    def _until_started(self, statement_id: str) -> None:
        until = time.monotonic() + STARTED_WITHIN_S
        while time.monotonic() < until:
            answer: dict[str, Any] = dict(self._client.describe_statement(Id=statement_id))
            if answer["Status"] not in {"SUBMITTED", "PICKED"}:
                return
            time.sleep(0.001)  # between two looks of a bounded wait
