"""Topics as they should be, as they are, and the step from one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from connectors.kafka.clients import error_of
from schemas.errors import ConfigError

ADMIN_BOUND_S = 20.0
"""How long one admin call may take."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be; ``config`` holds only what is set on purpose."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str] = field(default_factory=dict)
    resized_by: str = ""
    """The command that changes the number of partitions, where that is never done in place."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]
    topic_id: str


@dataclass(frozen=True, slots=True)
class TopicChange:
    """One step of a plan."""

    topic: str
    kind: Literal["create", "set", "repartition"]
    detail: str


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """What would be done, and what is refused with its reason."""

    changes: tuple[TopicChange, ...]
    refused: tuple[str, ...]
    specs: tuple[TopicSpec, ...]


def plan_topics(
    specs: Sequence[TopicSpec], states: Mapping[str, TopicState], *, allow_repartition: bool = False
) -> TopicPlan:
    """Compare; pure. A partition count is never changed unless told to: it would send a key to another partition."""
    changes: list[TopicChange] = []
    refused: list[str] = []
    for spec in specs:
        state = states.get(spec.name)
        if state is None:
            changes.append(
                TopicChange(spec.name, "create", f"{spec.partitions} partitions, RF {spec.replication_factor}")
            )
            continue
        if state.partitions != spec.partitions:
            step = f"{state.partitions} to {spec.partitions} partitions"
            if spec.resized_by:
                refused.append(f"topic {spec.name}: {step} is never done in place, but by `{spec.resized_by}`")
            elif spec.partitions < state.partitions:
                refused.append(
                    f"topic {spec.name}: {step}: Kafka cannot remove partitions; "
                    f"delete the topic or set {state.partitions}"
                )
            elif allow_repartition:
                changes.append(TopicChange(spec.name, "repartition", step))
            else:
                refused.append(
                    f"topic {spec.name}: {step} would send existing keys to other partitions and break their order; "
                    "stop the producers, drain the consumers, then use --allow-repartition"
                )
        if state.replication_factor != spec.replication_factor:
            refused.append(
                f"topic {spec.name}: replication factor is {state.replication_factor}, not {spec.replication_factor}: "
                "reassign its replicas with the cluster's own tools"
            )
        for key, wanted in sorted(spec.config.items()):
            if (found := state.config.get(key)) != wanted:
                changes.append(TopicChange(spec.name, "set", f"{key} = {wanted} (was {found})"))
    return TopicPlan(tuple(changes), tuple(refused), tuple(specs))


def topic_id_text(topic_id: object) -> str:
    """A topic's id as Kafka itself writes it, in URL-safe base64, so that it can be a part of an object's name.

    librdkafka's own text has ``+`` and ``/``: three topics in ten have a slash in it.
    """
    return str(topic_id).replace("+", "-").replace("/", "_")


def describe_topics(admin: AdminClient, names: Iterable[str]) -> dict[str, TopicState]:
    """The topics that exist, with their effective configuration.

    Raises:
        FeedError: the cluster does not answer.
    """
    wanted = set(names)
    try:
        listed = admin.list_topics(timeout=ADMIN_BOUND_S).topics
        present = [name for name in wanted if name in listed and not listed[name].error]
        if not present:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in present]
        configs = {
            resource.name: {key: entry.value for key, entry in answer.result(ADMIN_BOUND_S).items()}
            for resource, answer in admin.describe_configs(resources, request_timeout=ADMIN_BOUND_S).items()
        }
        described = admin.describe_topics(TopicCollection(present), request_timeout=ADMIN_BOUND_S)
        ids = {name: topic_id_text(answer.result(ADMIN_BOUND_S).topic_id) for name, answer in described.items()}
    except KafkaException as error:
        raise error_of(error.args[0], "reading topics") from error
    return {
        name: TopicState(
            name=name,
            partitions=len(listed[name].partitions),
            replication_factor=len(next(iter(listed[name].partitions.values())).replicas),
            config=configs[name],
            topic_id=ids[name],
        )
        for name in present
    }


def apply_plan(admin: AdminClient, plan: TopicPlan) -> None:
    """Carry a plan out.

    Raises:
        ConfigError: the plan refuses something; nothing was changed.
        FeedError: the cluster failed; what was done stays, and planning again shows the rest.
    """
    if plan.refused:
        raise ConfigError(plan.refused[0], hint="nothing was changed", faults=plan.refused)
    specs = {spec.name: spec for spec in plan.specs}
    of_kind = {kind: [c.topic for c in plan.changes if c.kind == kind] for kind in ("create", "repartition", "set")}
    try:
        if of_kind["create"]:
            new = [_new(specs[name]) for name in of_kind["create"]]
            _wait(admin.create_topics(new, operation_timeout=ADMIN_BOUND_S, request_timeout=ADMIN_BOUND_S))
        if of_kind["repartition"]:
            grown = [NewPartitions(name, specs[name].partitions) for name in of_kind["repartition"]]
            _wait(admin.create_partitions(grown, operation_timeout=ADMIN_BOUND_S, request_timeout=ADMIN_BOUND_S))
        if of_kind["set"]:
            resources = [_config_resource(specs[name]) for name in dict.fromkeys(of_kind["set"])]
            _wait(admin.incremental_alter_configs(resources, request_timeout=ADMIN_BOUND_S))
    except KafkaException as error:
        raise error_of(error.args[0], "changing topics") from error


def _new(spec: TopicSpec) -> NewTopic:
    return NewTopic(spec.name, spec.partitions, spec.replication_factor, config=dict(spec.config))


def _config_resource(spec: TopicSpec) -> ConfigResource:
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in spec.config.items()
    ]
    return ConfigResource(ResourceType.TOPIC, spec.name, incremental_configs=entries)


def _wait(answers: Mapping[Any, Future[Any]]) -> None:
    for answer in answers.values():
        answer.result(ADMIN_BOUND_S)
