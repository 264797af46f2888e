"""Who of a group has which partitions, as the cluster tells it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

ANSWER_BOUND_S = 10.0
"""How long the group's coordinator may take."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the coordinator said, or why it said nothing."""

    state: str
    """The group's state in words."""
    owners: Mapping[int, str] = field(default_factory=dict)
    """Partition → ``client id at host``."""
    members: tuple[str, ...] = ()
    """All of them, those without a partition too: ``client id at host``."""
    fault: str = ""
    """Why the owners are unknown; empty when they are known."""


def assignment_of(admin: AdminClient, group: str, topic: str, *, bound_s: float = ANSWER_BOUND_S) -> Assignment:
    """The owners of a topic's partitions in ``group``. A group that does not answer is an answer, not an error."""
    try:
        asked = admin.describe_consumer_groups([group], request_timeout=bound_s)
        described = asked[group].result(bound_s + 1)
    except FutureTimeoutError:
        return Assignment("unknown", fault=f"its coordinator did not answer within {bound_s:.0f} s")
    except KafkaException as error:
        fault = error.args[0]
        if fault.code() == KafkaError.GROUP_ID_NOT_FOUND:
            return Assignment("dead")
        return Assignment("unknown", fault=f"{fault.name()} ({fault.str()})")
    names = {member.member_id: f"{member.client_id} at {member.host.removeprefix('/')}" for member in described.members}
    owners = {
        place.partition: names[member.member_id]
        for member in described.members
        if member.assignment is not None
        for place in member.assignment.topic_partitions
        if place.topic == topic
    }
    return Assignment(described.state.name.lower().replace("_", " "), owners, members=tuple(sorted(names.values())))
