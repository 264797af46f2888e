"""The warehouse as the loader needs it: tables that fit, the ledger, and loads with a fate."""

from __future__ import annotations

import hashlib
import logging

from connectors.redshift import Redshift, StatementStatus
from consumers.analytics.evolution import columns_query, evolve, found_of
from consumers.analytics.load_sql import ledger_query, load_statements
from consumers.analytics.loads import Load
from consumers.analytics.sweep import sweeps_of
from consumers.analytics.tables import Tables
from consumers.runtime.contracts import Partition

log = logging.getLogger(__name__)


class Warehouse:
    """The tables of one feed, over the Data API."""

    def __init__(self, redshift: Redshift, tables: Tables) -> None:
        self._redshift = redshift
        self.tables = tables

    def prepare(self) -> None:
        """Create the tables, and give them what a newer image schema has. May be repeated, by several at once.

        Raises:
            ConfigError: a column has a type that the image schema's cannot follow.
            RetryableError: the warehouse is away, or another loader changed the tables at the same time.
        """
        tables = self.tables
        self._redshift.run(tables.create())
        changes = evolve(tables, found_of(tables, self._redshift.query(columns_query(tables))))
        for change in changes:
            log.info("warehouse table changed sql=%s", " ".join(change.split()))
        if changes:
            self._redshift.run(changes)

    def ledger(self, topic: str) -> dict[Partition, int]:
        """The next offset of each partition of a topic that was ever loaded.

        Raises:
            RetryableError: the warehouse is away.
        """
        rows = self._redshift.query(ledger_query(self.tables, topic))
        return {
            Partition(row["cluster_id"], row["topic_id"], topic, int(row["partition_number"])): int(row["next_offset"])
            for row in rows
        }

    def start(self, load: Load, manifest_url: str) -> str:
        """Start a load; gives the id of its statement. The same try of the same load is started once."""
        role = self._redshift.settings.copy_role
        more = sweeps_of(self.tables, load)
        statements = load_statements(self.tables, load, manifest_url=manifest_url, copy_role=role, more=more)
        token = hashlib.sha256("\n".join([*statements, str(load.attempt)]).encode()).hexdigest()
        return self._redshift.submit(statements, token=token)

    def status(self, statement_id: str) -> StatementStatus:
        """What became of a load's statement."""
        return self._redshift.status(statement_id)

    def cancel(self, statement_id: str) -> None:
        """End a load that takes too long; the ledger then says whether it committed before."""
        self._redshift.cancel(statement_id)

    @property
    def timeout_ms(self) -> int:
        """How long a load may take before it is of unknown fate."""
        return self._redshift.settings.statement_timeout_ms

    @property
    def poll_interval_ms(self) -> int:
        """How often a running load is asked for when someone waits for it."""
        return self._redshift.settings.poll_interval_ms
