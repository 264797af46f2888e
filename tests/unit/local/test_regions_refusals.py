"""What cannot be had is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from feed.testing import three_regions
from schemas.errors import ConfigError


def test_containers_refuse_what_only_processes_have(tmp_path: Path) -> None:
    """A distance or a data folder is not quietly left out."""
    for arguments in ({"round_trips_ms": {"us": 75.0}}, {"data_dir": tmp_path}):
        with (
            pytest.raises(ConfigError, match="neither a data folder nor a distance"),
            three_regions(
                backend="containers",
                **arguments,  # type: ignore[arg-type] # one of the two
            ),
        ):
            pass
