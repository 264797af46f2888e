"""The AWS Glue Schema Registry, over boto3."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import aws_error_code, aws_error_of
from connectors.registry.cache import SchemaCache
from connectors.registry.contract import RegisteredSchema
from connectors.registry.settings import RegistrySettings
from schemas.errors import FatalError, PoisonError
from schemas.evolution import Compatibility
from schemas.framing import Glue, SchemaId, fingerprint_of

log = logging.getLogger(__name__)

_POLL_S = 0.2
_POLLS = 50
"""Glue checks a new version after taking it: 10 s at most are waited for its word."""

_COMPATIBILITY = {
    Compatibility.NONE: "NONE",
    Compatibility.BACKWARD: "BACKWARD",
    Compatibility.BACKWARD_TRANSITIVE: "BACKWARD_ALL",
    Compatibility.FORWARD: "FORWARD",
    Compatibility.FORWARD_TRANSITIVE: "FORWARD_ALL",
    Compatibility.FULL: "FULL",
    Compatibility.FULL_TRANSITIVE: "FULL_ALL",
}


class GlueRegistry:
    """One registry in Glue; a subject is a schema's name there."""

    def __init__(
        self,
        settings: RegistrySettings,
        client: Any,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._glue = client
        self._sleep = sleep
        self._cache = SchemaCache(settings.cache_file)

    def find(self, schema_id: SchemaId) -> Mapping[str, Any] | None:
        """See :class:`connectors.registry.contract.Registry`."""
        if schema_id.framing != "glue":
            return None
        known = self._cache.schema(schema_id)
        if known is None:
            answer = self._call("get_schema_version", SchemaVersionId=str(schema_id.id))
            if answer is None:
                return None
            known = _avro(answer)
            self._cache.remember(schema_id, known)
        return known

    def subjects(self) -> tuple[str, ...]:
        """See :class:`connectors.registry.contract.Registry`."""
        names: list[str] = []
        page: dict[str, str] = {}
        while True:
            answer = self._call("list_schemas", RegistryId={"RegistryName": self._settings.glue_registry}, **page)
            if answer is None:
                return ()
            names += (schema["SchemaName"] for schema in answer["Schemas"])
            following = answer.get("NextToken")
            if not following or page == {"NextToken": following}:  # a repeated token would never end
                return tuple(sorted(names))
            page = {"NextToken": following}

    def versions(self, subject: str) -> tuple[RegisteredSchema, ...]:
        """See :class:`connectors.registry.contract.Registry`; versions that Glue refused or deleted are left out."""
        return tuple(reversed(list(self._newest_first(subject))))

    def lookup(self, subject: str, schema: Mapping[str, Any]) -> RegisteredSchema | None:
        """See :class:`connectors.registry.contract.Registry`; answered from the cache where it can be."""
        wanted = fingerprint_of(schema)
        known = self._cache.registered(subject, wanted)
        if known is not None:
            return RegisteredSchema(subject, known[0], known[1].id, schema)
        return next((found for found in self._newest_first(subject) if fingerprint_of(found.schema) == wanted), None)

    def register(self, subject: str, schema: Mapping[str, Any]) -> RegisteredSchema:
        """See :class:`connectors.registry.contract.Registry`."""
        text = json.dumps(schema, ensure_ascii=False)
        answer = self._call("register_schema_version", SchemaId=self._name(subject), SchemaDefinition=text)
        if answer is None:
            created = self._create(subject, text)
            answer = {"SchemaVersionId": created["SchemaVersionId"], "VersionNumber": created["LatestSchemaVersion"]}
        registered = self._remember(subject, self._available(subject, answer), schema)
        log.info("schema registered subject=%s version=%d id=%s", subject, registered.version, registered.id)
        return registered

    def framing(self, registered: RegisteredSchema) -> Glue:
        """See :class:`connectors.registry.contract.Registry`."""
        return Glue(uuid.UUID(str(registered.id)), zlib=self._settings.glue_zlib)

    def _newest_first(self, subject: str) -> Iterator[RegisteredSchema]:
        described = self._call("get_schema", SchemaId=self._name(subject))
        for number in range(int(described["LatestSchemaVersion"]) if described else 0, 0, -1):
            entry = self._call(
                "get_schema_version", SchemaId=self._name(subject), SchemaVersionNumber={"VersionNumber": number}
            )
            if entry is not None and entry.get("Status", "AVAILABLE") == "AVAILABLE":
                yield self._remember(subject, entry, _avro(entry))

    def _create(self, subject: str, text: str) -> Mapping[str, Any]:
        created = self._call(
            "create_schema",
            RegistryId={"RegistryName": self._settings.glue_registry},
            SchemaName=subject,
            DataFormat="AVRO",
            Compatibility=_COMPATIBILITY[Compatibility(self._settings.compatibility)],
            SchemaDefinition=text,
        )
        if created is None:
            raise FatalError(
                f"Glue has no schema registry named {self._settings.glue_registry}",
                hint="create it, or set registry.glue_registry to one that exists",
            )
        answer: Mapping[str, Any] = created
        return answer

    def _available(self, subject: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Wait until Glue has checked the version."""
        for _ in range(_POLLS):
            found = self._call("get_schema_version", SchemaVersionId=answer["SchemaVersionId"])
            status = "DELETING" if found is None else found.get("Status", "AVAILABLE")
            if status == "AVAILABLE":
                return answer
            if status != "PENDING":
                break
            self._sleep(_POLL_S)
        raise FatalError(
            f"Glue did not accept the schema of {subject}: it is not compatible with the versions there",
            hint="run `feed schemas check --against registry` for a sentence that names the field",
        )

    def _remember(self, subject: str, entry: Mapping[str, Any], schema: Mapping[str, Any]) -> RegisteredSchema:
        schema_id = SchemaId("glue", uuid.UUID(entry["SchemaVersionId"]))
        version = int(entry["VersionNumber"])
        self._cache.remember(schema_id, schema)
        self._cache.remember_registered(subject, fingerprint_of(schema), version, schema_id)
        return RegisteredSchema(subject, version, schema_id.id, schema)

    def _name(self, subject: str) -> dict[str, str]:
        return {"RegistryName": self._settings.glue_registry, "SchemaName": subject}

    def _call(self, method: str, **arguments: Any) -> Any:
        """The answer; None for "not found"."""
        try:
            return getattr(self._glue, method)(**arguments)
        except (ClientError, BotoCoreError) as error:
            if aws_error_code(error) == "EntityNotFoundException":
                return None
            raise aws_error_of(error, f"calling {method} of the Glue schema registry") from error


def _avro(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if answer.get("DataFormat", "AVRO") != "AVRO":
        raise PoisonError(
            f"the value's schema is {answer['DataFormat']}, not Avro", hint="another producer writes to this topic"
        )
    schema: Mapping[str, Any] = json.loads(answer["SchemaDefinition"])
    return schema
