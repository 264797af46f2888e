"""The bench as a fixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.producers.producer_bench import Bench


@pytest.fixture
def bench(
    kafka_broker: Any,
    dynamodb_on_disk: Any,
    rolling_table: Callable[..., Any],
    unique_name: Callable[[str], str],
    local_site: Any,
    tmp_path: Path,
) -> Iterator[Bench]:
    """A feed with its topics and a table whose shards can be rolled."""
    made = Bench(
        unique_name("orders"), kafka_broker.bootstrap, rolling_table(), dynamodb_on_disk.endpoint, local_site, tmp_path
    )
    yield made
    made.close()
