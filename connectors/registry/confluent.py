"""Registries with Confluent's REST interface: Confluent's own, Apicurio's compatibility API, Karapace, Redpanda."""

from __future__ import annotations

import json
import logging
import random
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from connectors.registry.cache import SchemaCache
from connectors.registry.contract import RegisteredSchema
from connectors.registry.settings import RegistrySettings
from schemas.errors import ConfigError, FatalError, PoisonError, RetryableError
from schemas.framing import Confluent, SchemaId, fingerprint_of

log = logging.getLogger(__name__)

_CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


class ConfluentRegistry:
    """A registry over HTTP: bounded retries, and a cache that outlives the registry's absence."""

    def __init__(
        self,
        settings: RegistrySettings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        pick: Callable[[], float] = random.random,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._pick = pick
        self._cache = SchemaCache(settings.cache_file)
        self._http = httpx.Client(
            base_url=settings.url.rstrip("/") + "/",
            auth=_basic(settings),
            headers={"Accept": _CONTENT_TYPE} | _bearer(settings),
            verify=_trust(settings),
            timeout=settings.timeout_ms / 1000,
            transport=transport,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def find(self, schema_id: SchemaId) -> Mapping[str, Any] | None:
        """See :class:`connectors.registry.contract.Registry`."""
        if schema_id.framing != "confluent":
            return None
        known = self._cache.schema(schema_id)
        if known is None:
            answer = self._call("GET", f"schemas/ids/{schema_id.id}")
            if answer is None:
                return None
            if not isinstance(answer, dict) or "schema" not in answer:
                raise _no_registry(self._settings.url)
            known = _avro(answer)
            self._cache.remember(schema_id, known)
        return known

    def subjects(self) -> tuple[str, ...]:
        """See :class:`connectors.registry.contract.Registry`."""
        return tuple(sorted(self._call("GET", "subjects") or ()))

    def versions(self, subject: str) -> tuple[RegisteredSchema, ...]:
        """See :class:`connectors.registry.contract.Registry`."""
        path = f"subjects/{quote(subject, safe='')}/versions"
        numbers = self._call("GET", path) or ()
        answers = (self._call("GET", f"{path}/{number}") for number in sorted(numbers))
        return tuple(self._registered(answer) for answer in answers if answer is not None)

    def lookup(self, subject: str, schema: Mapping[str, Any]) -> RegisteredSchema | None:
        """See :class:`connectors.registry.contract.Registry`; answered from the cache where it can be."""
        known = self._cache.registered(subject, fingerprint_of(schema))
        if known is not None:
            return RegisteredSchema(subject, known[0], known[1].id, schema)
        answer = self._call("POST", f"subjects/{quote(subject, safe='')}", _body(schema))
        if answer is None:
            return None
        return self._remember(RegisteredSchema(subject, int(answer["version"]), int(answer["id"]), schema))

    def register(self, subject: str, schema: Mapping[str, Any]) -> RegisteredSchema:
        """See :class:`connectors.registry.contract.Registry`."""
        self._call("POST", f"subjects/{quote(subject, safe='')}/versions", _body(schema))
        registered = self.lookup(subject, schema)
        if registered is None:
            raise FatalError(
                f"the registry took the schema of {subject} and does not find it", hint="look at the registry's log"
            )
        log.info("schema registered subject=%s version=%d id=%s", subject, registered.version, registered.id)
        return registered

    def framing(self, registered: RegisteredSchema) -> Confluent:
        """See :class:`connectors.registry.contract.Registry`."""
        return Confluent(int(registered.id))

    def _registered(self, answer: Mapping[str, Any]) -> RegisteredSchema:
        return self._remember(
            RegisteredSchema(answer["subject"], int(answer["version"]), int(answer["id"]), _avro(answer))
        )

    def _remember(self, registered: RegisteredSchema) -> RegisteredSchema:
        schema_id = SchemaId("confluent", registered.id)
        self._cache.remember(schema_id, registered.schema)
        self._cache.remember_registered(
            registered.subject, fingerprint_of(registered.schema), registered.version, schema_id
        )
        return registered

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON; None for "not found"."""
        failure = ""
        for attempt in range(self._settings.attempts):
            if attempt:
                pause_s = min(_FIRST_PAUSE_S * 2 ** (attempt - 1), _LONGEST_PAUSE_S)
                self._sleep(pause_s * (0.5 + self._pick() / 2))
            try:
                response = self._http.request(method, path, json=body, headers={"Content-Type": _CONTENT_TYPE})
            except httpx.TransportError as error:
                failure = repr(error)
                continue
            if response.status_code not in _BUSY:
                return _answer(response, self._settings.url)
            failure = f"HTTP {response.status_code}"
        raise RetryableError(
            f"the schema registry {self._settings.url} did not answer {self._settings.attempts} times: {failure}",
            hint="check its address and health; with registry.cache_file set, a start does not need it",
        )


def _answer(response: httpx.Response, url: str) -> Any:
    if response.status_code == 404:
        return None
    if response.status_code in {401, 403}:
        raise ConfigError(
            f"the schema registry {url} refuses us: HTTP {response.status_code}",
            hint="check registry.username and password, token or client certificate, and what they may do",
        )
    try:
        answer = response.json()
    except ValueError as error:
        raise _no_registry(url) from error
    if response.is_success:
        return answer
    told = answer.get("message") if isinstance(answer, dict) else response.text
    raise FatalError(
        f"the schema registry refused the request: {told}", hint="a changed schema must pass `feed schemas check`"
    )


def _no_registry(url: str) -> FatalError:
    return FatalError(f"{url} does not answer like a schema registry", hint="check registry.url, with its path")


def _avro(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if answer.get("schemaType", "AVRO") != "AVRO":
        raise PoisonError(
            f"the value's schema is {answer['schemaType']}, not Avro", hint="another producer writes to this topic"
        )
    schema = json.loads(answer["schema"])
    if not isinstance(schema, dict):
        raise PoisonError(
            f"the value's schema is {schema!r}, not a record", hint="another producer writes to this topic"
        )
    return schema


def _body(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema": json.dumps(schema, ensure_ascii=False), "schemaType": "AVRO"}


def _basic(settings: RegistrySettings) -> tuple[str, str] | None:
    if settings.username is None or settings.password is None:
        return None
    return settings.username, settings.password.get_secret_value()


def _bearer(settings: RegistrySettings) -> dict[str, str]:
    return {} if settings.token is None else {"Authorization": f"Bearer {settings.token.get_secret_value()}"}


def _trust(settings: RegistrySettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.certificate_file is not None:
            context.load_cert_chain(settings.certificate_file, settings.certificate_key_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"a PEM file of the schema registry cannot be used: {error}",
            hint="check registry.ca_file, certificate_file and certificate_key_file",
        ) from error
    return context
