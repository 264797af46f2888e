"""A group that does not answer is said, not raised."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from feed.operate import assignment_of


class Admin:
    """Answers with what it was given, or not at all."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def describe_consumer_groups(self, groups: list[str], request_timeout: float) -> dict[str, Future[Any]]:
        future: Future[Any] = Future()
        if self._error is not None:
            future.set_exception(self._error)
        return {groups[0]: future}


def asked(error: Exception | None) -> Any:
    return assignment_of(Admin(error), "orders.producer", "orders.positions", bound_s=-1)  # type: ignore[arg-type]  # a model of it


def test_a_silent_coordinator_leaves_the_owners_unknown() -> None:
    """The wait is bounded, and the reason is in words."""
    found = asked(None)
    assert (found.owners, found.state) == ({}, "unknown")
    assert "did not answer" in found.fault


def test_an_error_of_the_coordinator_is_told_by_its_name() -> None:
    """The owners are unknown, which is not the same as nobody."""
    found = asked(KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)))
    assert "GROUP_AUTHORIZATION_FAILED" in found.fault


def test_a_group_that_never_was_has_no_owners() -> None:
    """Nobody has the slots, and that is known."""
    found = asked(KafkaException(KafkaError(KafkaError.GROUP_ID_NOT_FOUND)))
    assert (found.owners, found.state, found.fault) == ({}, "dead", "")
