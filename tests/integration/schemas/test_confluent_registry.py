"""The registry over HTTP: credentials, TLS, faults, cache, and a start while it is away."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.registry import ConfluentRegistry, RegistrySettings, open_codec
from schemas import bundled
from schemas.change import Change
from schemas.codec import ChangeCodec
from schemas.compose import change_schema
from schemas.errors import ConfigError, FatalError, PoisonError, RetryableError
from schemas.framing import SchemaId

pytestmark = pytest.mark.integration

SCHEMA = change_schema(bundled.load("order"))


def _settings(server: Any, **more: Any) -> RegistrySettings:
    return RegistrySettings(kind="confluent", url=server.url, **more)


def test_a_schema_is_registered_listed_and_found(registry_server: Any) -> None:
    """Register, list, look up and find by id agree; registering again changes nothing."""
    registry = ConfluentRegistry(_settings(registry_server))
    assert registry.subjects() == ()
    assert registry.versions("orders-value") == ()
    assert registry.lookup("orders-value", SCHEMA) is None
    registered = registry.register("orders-value", SCHEMA)
    assert registry.register("orders-value", SCHEMA) == registered
    fresh = ConfluentRegistry(_settings(registry_server))
    assert fresh.subjects() == ("orders-value",)
    assert fresh.versions("orders-value") == (registered,)
    assert fresh.lookup("orders-value", SCHEMA) == registered
    assert fresh.find(SchemaId("confluent", registered.id)) == SCHEMA
    assert fresh.find(SchemaId("confluent", 999)) is None
    assert fresh.find(SchemaId("glue", 1)) is None


def test_a_busy_registry_is_asked_again_within_bounds(registry_server: Any) -> None:
    """Errors of the server are tried again with growing pauses, and no more often than `attempts`."""
    pauses: list[float] = []
    registry = ConfluentRegistry(_settings(registry_server, attempts=4), sleep=pauses.append, pick=lambda: 1.0)
    registry_server.failures = [503, 429, 500]
    assert registry.subjects() == ()
    assert pauses == [0.1, 0.2, 0.4]
    registry_server.failures = [503] * 4
    with pytest.raises(RetryableError, match="did not answer 4 times: HTTP 503"):
        registry.subjects()
    assert registry_server.failures == []


def test_what_the_registry_refuses_is_not_tried_again(registry_server: Any) -> None:
    """A refusal (an incompatible schema, for example) ends at once with the registry's own words."""
    registry = ConfluentRegistry(_settings(registry_server), sleep=lambda _: pytest.fail("no retry is wanted"))
    registry_server.failures = [409]
    with pytest.raises(FatalError, match="refused the request: on demand"):
        registry.register("orders-value", SCHEMA)


def test_credentials_are_sent_and_a_wrong_one_is_told(registry_server: Any) -> None:
    """Basic and bearer credentials reach the registry; without them the error says what to check."""
    registry_server.basic("app", "geheim")
    settings = _settings(registry_server, username="app", password="geheim")
    assert "geheim" not in repr(settings)
    assert ConfluentRegistry(settings).subjects() == ()
    with pytest.raises(ConfigError, match="refuses us: HTTP 401") as refused:
        ConfluentRegistry(_settings(registry_server)).subjects()
    assert "registry.username" in refused.value.hint
    registry_server.authorization = "Bearer abc"
    assert ConfluentRegistry(_settings(registry_server, token="abc")).subjects() == ()


def test_tls_is_checked(tls_registry: tuple[Any, Path]) -> None:
    """The given authority is trusted; without it the registry is not, and the error is ours."""
    server, authority = tls_registry
    assert ConfluentRegistry(_settings(server, ca_file=str(authority))).subjects() == ()
    with pytest.raises(RetryableError, match="CERTIFICATE_VERIFY_FAILED"):
        ConfluentRegistry(_settings(server, attempts=1)).subjects()
    with pytest.raises(ConfigError, match="PEM file"):
        ConfluentRegistry(_settings(server, ca_file=str(authority.with_name("missing.pem"))))


@pytest.mark.parametrize("tls_registry", ["mutual"], indirect=True)
def test_a_client_certificate_is_shown_where_one_is_asked_for(tls_registry: tuple[Any, Path]) -> None:
    """Mutual TLS: with our certificate the registry answers, without it it does not."""
    server, authority = tls_registry
    ours = {"certificate_file": str(authority), "certificate_key_file": str(authority.with_suffix(".key"))}
    assert ConfluentRegistry(_settings(server, ca_file=str(authority), **ours)).subjects() == ()
    with pytest.raises(RetryableError):
        ConfluentRegistry(_settings(server, ca_file=str(authority), attempts=1)).subjects()


def test_a_process_starts_while_the_registry_is_away(
    registry_server: Any, tmp_path: Path, some_change: Callable[..., Change]
) -> None:
    """With a warm cache file, producers and consumers start, write and read without one call."""
    cache = str(tmp_path / "cache" / "schemas.json")
    warm = open_codec(
        "order",
        "orders",
        framing="confluent",
        settings=_settings(registry_server, auto_register=True, cache_file=cache),
    )
    value = warm.encode(some_change(warm))
    registry_server.close()
    with socket.socket() as nobody:  # a port where nobody listens
        nobody.bind(("127.0.0.1", 0))
        away = RegistrySettings(
            kind="confluent", url=f"http://127.0.0.1:{nobody.getsockname()[1]}", attempts=1, cache_file=cache
        )
        cold = open_codec("order", "orders", framing="confluent", settings=away)
        assert cold.encode(some_change(cold)) == value
        reader = open_codec("order", "orders", settings=away)
        assert reader.decode(value) == some_change(reader)
        with pytest.raises(RetryableError):
            reader.decode(b"\x00\x00\x00\x00\x07" + value[5:])


@pytest.mark.parametrize("content", ["", "[]", '{"schemas": {}}', '{"schemas": [], "ids": {"a": 1}}'])
def test_a_broken_cache_file_only_starts_cold(registry_server: Any, tmp_path: Path, content: str) -> None:
    """A cache that cannot be read does not stop a process that has its registry."""
    cache = tmp_path / "schemas.json"
    cache.write_text(content)
    registry = ConfluentRegistry(_settings(registry_server, cache_file=str(cache)))
    registered = registry.register("orders-value", SCHEMA)
    assert (
        ConfluentRegistry(_settings(registry_server, cache_file=str(cache))).lookup("orders-value", SCHEMA)
        == registered
    )


def test_an_id_is_asked_for_once(registry_server: Any, some_change: Callable[..., Change]) -> None:
    """A thousand values with one id cost one call."""
    writer = open_codec("order", "orders", framing="confluent", settings=_settings(registry_server, auto_register=True))
    values = [writer.encode(some_change(writer))] * 1000
    reader = open_codec("order", "orders", settings=_settings(registry_server))
    registry_server.calls.clear()
    assert all(isinstance(change, Change) for change in reader.decode_batch(values))
    assert len(registry_server.calls) == 1


def test_nothing_is_registered_by_itself(registry_server: Any) -> None:
    """In production (the default) a producer whose schema is not registered does not start, and registers nothing."""
    with pytest.raises(ConfigError, match="not registered as orders-value") as refused:
        open_codec("order", "orders", framing="confluent", settings=_settings(registry_server))
    assert "feed schemas register" in refused.value.hint
    assert registry_server.subjects == {}


def test_schemas_of_other_kinds_are_poison(registry_server: Any) -> None:
    """An id that names no Avro record is another producer's: the value is poison, the process goes on."""
    registry_server.schemas[5] = '"string"'
    with pytest.raises(PoisonError, match="not a record"):
        ConfluentRegistry(_settings(registry_server)).find(SchemaId("confluent", 5))


def test_something_else_than_a_registry_is_told(registry_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong path in the address ends in a sentence, not in a JSON error."""
    monkeypatch.setattr(registry_server, "answer", lambda *_: (200, ["not an object"]))
    with pytest.raises(FatalError, match="does not answer like a schema registry"):
        ConfluentRegistry(_settings(registry_server)).find(SchemaId("confluent", 5))


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"kind": "confluent"}, "needs its http"),
        ({"kind": "confluent", "url": "http://x", "username": "a"}, "come together"),
        ({"kind": "confluent", "url": "http://x", "username": "a", "password": "b", "token": "c"}, "not both"),
        ({"kind": "apicurio"}, "kind"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    """Each contradiction is a sentence."""
    with pytest.raises(ValidationError, match=sentence):
        RegistrySettings(**wrong)


def test_framing_and_registry_must_fit() -> None:
    """Confluent's framing without such a registry cannot work, and says so."""
    with pytest.raises(ConfigError, match="needs a registry of kind confluent"):
        open_codec("order", "orders", framing="confluent")
    assert open_codec("order", "orders").schema == ChangeCodec.for_image(bundled.load("order")).schema
