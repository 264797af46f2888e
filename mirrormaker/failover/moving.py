"""Commits a plan's offsets in the copy's region, and looks whether they are there."""

from __future__ import annotations

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka import KafkaClients, error_of
from mirrormaker.failover.asking import committed_offsets
from mirrormaker.failover.plan import GroupPlan
from mirrormaker.status.asking import ASK_WITHIN_S
from schemas.errors import FatalError


def apply(admin: AdminClient, plan: GroupPlan) -> None:
    """Commit where the group begins. It must have no members: Kafka refuses it otherwise.

    Raises:
        FatalError: something stands against the plan, or the cluster refuses.
    """
    if plan.faults:
        raise FatalError(plan.faults[0], hint="Nothing was changed for this group.")
    offsets = [TopicPartition(one.topic, one.partition, one.start) for one in plan.partitions]
    request = ConsumerGroupTopicPartitions(plan.group, offsets)
    try:
        done = admin.alter_consumer_group_offsets([request])[plan.group].result(ASK_WITHIN_S)
    except KafkaException as error:
        raise error_of(error.args[0], f"committing offsets of {plan.group}") from error
    for one in done.topic_partitions:
        if one.error is not None:
            raise error_of(one.error, f"committing {plan.group} at {one.topic}/{one.partition}")


def differences(clients: KafkaClients, plan: GroupPlan) -> tuple[str, ...]:
    """Where what is committed is not what was planned, a sentence each."""
    places = [(one.topic, one.partition) for one in plan.partitions]
    found = committed_offsets(clients, plan.group, places)
    return tuple(
        f"{plan.group} at {one.topic}/{one.partition}: {found.get((one.topic, one.partition))} is committed, "
        f"{one.start} was planned."
        for one in plan.partitions
        if found.get((one.topic, one.partition)) != one.start
    )
