"""``feed schemas register`` and ``check --against registry``, over a real HTTP registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from feed.cli import schemas as command
from schemas import bundled
from schemas.errors import FatalError

pytestmark = pytest.mark.integration


def test_a_schema_is_registered_behind_the_gate(registry_server: Any, tmp_path: Path) -> None:
    """A new schema is registered, an incompatible successor is refused by name and leaves the registry as it was."""
    image = tmp_path / "order.avsc"
    image.write_text(json.dumps(bundled.load("order")))
    config = tmp_path / "feed.yaml"
    region = {"aws": {"region": "eu-west-1"}, "kafka": {"bootstrap_servers": "b:9092"}}
    document = {
        "feed": "orders",
        "table": {"name": "orders", "region": "eu", "key": ["orderId"], "image_schema": str(image)},
        "regions": {"eu": region},
        "schemas": {"framing": "confluent", "registry": {"kind": "confluent", "url": registry_server.url}},
    }
    config.write_text(yaml.safe_dump(document))

    def feed(*arguments: str) -> Any:
        return CliRunner().invoke(command.app, [*arguments, "--config", str(config)])

    assert "nothing is known of it" in feed("check", "--against", "registry").output
    assert "orders-value version 1 id 100001" in feed("register").output
    assert "registered" in feed("list").output
    assert (
        "compatible (BACKWARD_TRANSITIVE) with version 1 of orders-value"
        in feed("check", "--against", "registry").output
    )
    changed = bundled.load("order")
    changed["fields"].insert(0, {"name": "vat", "type": "string"})
    image.write_text(json.dumps(changed))
    result = feed("check", "--against", "registry")
    assert result.exit_code == 1
    assert "changefeed.orders.Order.vat: the field has no default" in result.output
    assert isinstance(feed("register").exception, FatalError)
    assert registry_server.subjects == {"orders-value": [100001]}
