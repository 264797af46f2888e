"""The local Data API as a part of the local regions."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from feed.local.part import ProcessPart, Site, with_environment
from feed.local.ports import free_port

PROJECT = Path(__file__).resolve().parents[3]
"""Where the packages of this project lie: the part is run by module name, from its own folder."""


class DataApi(ProcessPart):
    """A warehouse behind the Redshift Data API, with one DuckDB file as its state."""

    def __init__(
        self, site: Site, *, s3_endpoint: str, access_key_id: str, secret_access_key: str, name: str = "warehouse-db"
    ) -> None:
        super().__init__(name, site)
        self._port = free_port()
        self._s3_endpoint = s3_endpoint
        self._environment = {
            "AWS_ACCESS_KEY_ID": access_key_id,
            "AWS_SECRET_ACCESS_KEY": secret_access_key,
            "PYTHONPATH": str(PROJECT),
        }

    @property
    def endpoint(self) -> str:
        """URL for ``redshift-data`` clients."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """``endpoint``."""
        return {"endpoint": self.endpoint}

    @property
    def database(self) -> Path:
        """The DuckDB file; readable by others while this part does not run."""
        return self.site.state_of(self.name) / "warehouse.duckdb"

    def command(self) -> Sequence[str]:
        """The module of this folder."""
        options = {
            "--port": self._port,
            "--database": self.database,
            "--s3-endpoint": self._s3_endpoint,
        }
        arguments = [str(word) for pair in options.items() for word in pair]
        return with_environment(self._environment, [sys.executable, "-m", "feed.local.data_api", *arguments])

    def is_ready(self) -> bool:
        """It answers."""
        try:
            return httpx.get(self.endpoint, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False
