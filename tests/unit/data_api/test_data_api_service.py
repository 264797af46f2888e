"""The local Data API as a service: quotas, parameters, what it remembers, how a statement is ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from connectors.redshift import Redshift, StatementError, StatementState
from feed.local.data_api import Engine, Refused, engine
from feed.local.data_api.parameters import with_values
from schemas.errors import FatalError, RetryableError
from tests.unit.data_api.conftest import Clock


def test_a_batch_has_at_most_forty_statements_of_100_kb(redshift: Redshift, engine: Engine) -> None:
    """Both quotas are refused by the service, and by our connector before it asks."""
    for sqls in (["SELECT 1"] * 41, ["SELECT '" + "x" * 102_400 + "'"]):
        with pytest.raises(Refused):
            engine.submit(sqls, batch=True, target={})
        with pytest.raises(FatalError, match="40 statements of 102400 bytes"):
            redshift.run(sqls)


def test_a_token_has_at_most_64_characters(engine: Engine) -> None:
    """The token of a load is the hexadecimal SHA-256: it just fits."""
    engine.submit(["SELECT 1"], batch=False, target={}, token="a" * 64)
    with pytest.raises(Refused, match="64 characters"):
        engine.submit(["SELECT 1"], batch=False, target={}, token="a" * 65)


def test_statements_are_forgotten_after_a_day_and_tokens_after_eight_hours(redshift: Redshift, clock: Clock) -> None:
    """A token that is used again later runs the statement again: only the ledger keeps a load from running twice."""
    redshift.run(["CREATE TABLE t (a INTEGER)"])
    first = redshift.run(["INSERT INTO t (a) VALUES (1)"], token="1")
    clock.now += 7.9 * 3600
    assert redshift.run(["INSERT INTO t (a) VALUES (1)"], token="1") == first
    clock.now += 0.2 * 3600
    assert redshift.run(["INSERT INTO t (a) VALUES (1)"], token="1") != first
    assert redshift.query("SELECT COUNT(*) AS n FROM t") == [{"n": 2}]
    assert redshift.status(first).state is StatementState.FINISHED
    clock.now += 16 * 3600
    assert redshift.status(first).state is StatementState.UNKNOWN


def test_a_database_and_one_target_are_needed(redshift: Redshift) -> None:
    """Workgroup or cluster, not both, and the database."""
    client: Any = redshift._client
    for target in (
        {"Database": "dev"},
        {"WorkgroupName": "local"},
        {"WorkgroupName": "local", "ClusterIdentifier": "c", "Database": "dev"},
    ):
        with pytest.raises(ClientError, match="needed"):
            client.execute_statement(Sql="SELECT 1", **target)


def test_parameters_are_text_and_never_names(redshift: Redshift) -> None:
    """A value is converted by the database; quotes in it stay a value; an unused or missing one is refused."""
    client: Any = redshift._client
    redshift.run(["CREATE TABLE t (a INTEGER, b VARCHAR(20))", "INSERT INTO t (a, b) VALUES (1, 'it''s'), (2, ':a')"])
    given = [{"name": "a", "value": "1"}, {"name": "b", "value": "it's"}]
    asked = client.execute_statement(
        Sql="SELECT COUNT(*)::BIGINT AS n FROM t WHERE a = :a AND b = :b AND b <> ':a'",
        Parameters=given,
        Database="dev",
        WorkgroupName="local",
    )
    redshift.wait(asked["Id"])
    assert client.get_statement_result(Id=asked["Id"])["Records"] == [[{"longValue": 1}]]
    with pytest.raises(Refused, match="unused parameters: b"):
        with_values(["SELECT :a"], {"a": "1", "b": "2"})
    with pytest.raises(Refused, match="c is not given"):
        with_values(["SELECT :c"], {"a": "1"})
    with pytest.raises(Refused, match="length"):
        with_values(["SELECT :a"], {"a": ""})


def test_a_result_beyond_the_bound_fails_and_is_not_cut(redshift: Redshift, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a result would be a wrong one."""
    monkeypatch.setattr(engine, "MAX_ROWS", 2)
    with pytest.raises(StatementError, match="larger than"):
        redshift.query("SELECT 1 AS a UNION ALL SELECT 2 UNION ALL SELECT 3")


@pytest.fixture
def busy(engine: Engine) -> Iterator[threading.Event]:
    """An engine that stands before the first statement until the event is set."""
    go_on = threading.Event()

    def wait(_statement: object, _position: int) -> None:
        go_on.wait(30)

    engine.before = wait
    yield go_on
    go_on.set()


def test_a_failed_batch_says_which_statement(redshift: Redshift) -> None:
    """The failed one has its error, those behind it are ABORTED, those before FINISHED though nothing of them stays."""
    client: Any = redshift._client
    statement_id = redshift.submit(["CREATE TABLE t (a INTEGER)", "SELECT nothing", "SELECT 1"])
    with pytest.raises(StatementError):
        redshift.wait(statement_id)
    answer = client.describe_statement(Id=statement_id)
    assert [sub["Status"] for sub in answer["SubStatements"]] == ["FINISHED", "FAILED", "ABORTED"]
    assert "nothing" in answer["Error"]
    with pytest.raises(StatementError, match="t does not exist"):
        redshift.query("SELECT * FROM t")


def test_answers_come_later(redshift: Redshift, busy: threading.Event) -> None:
    """A statement is SUBMITTED or STARTED until it has ended, and has no result before."""
    client: Any = redshift._client
    first, second = redshift.submit(["SELECT 1 AS a"]), redshift.submit(["SELECT 2 AS a"])
    assert redshift.status(second).state is StatementState.RUNNING
    assert client.describe_statement(Id=second)["Status"] == "SUBMITTED"
    with pytest.raises(ClientError, match="does not have result"):
        client.get_statement_result(Id=first)
    busy.set()
    assert client.describe_statement(Id=second, WaitTimeSeconds=10)["Status"] == "FINISHED"


def test_a_cancelled_statement_leaves_nothing(redshift: Redshift, engine: Engine, busy: threading.Event) -> None:
    """A running batch and a waiting one are ABORTED, which is not the warehouse refusing them."""
    running = redshift.submit(["CREATE TABLE t (a INTEGER)", "INSERT INTO t (a) VALUES (1)"])
    waiting = redshift.submit(["CREATE TABLE u (a INTEGER)"])
    redshift.cancel(waiting)
    redshift.cancel(running)
    busy.set()
    for statement_id in (running, waiting):
        with pytest.raises(StatementError, match="cancelled"):
            redshift.wait(statement_id)
        assert redshift.status(statement_id).state is StatementState.INTERRUPTED
    redshift.cancel(running)  # it has ended: nothing to do
    tables = redshift.query("SELECT COUNT(*) AS n FROM svv_columns WHERE table_schema = 'public'")
    assert tables == [{"n": 0}]


def test_too_many_statements_are_refused_for_now(
    redshift: Redshift, busy: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the number of active statements the service says so, and our connector takes it for busy."""
    monkeypatch.setattr(engine, "MAX_ACTIVE", 2)
    for number in range(2):
        redshift.submit([f"SELECT {number} AS a"])
    with pytest.raises(RetryableError, match="busy"):
        redshift.submit(["SELECT 3 AS a"])
    busy.set()


@pytest.mark.parametrize(
    "words", ["Cluster is paused", "Redshift endpoint doesn't exist in this region.", "cluster is not available"]
)
def test_a_paused_cluster_is_waited_for(redshift: Redshift, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """A request that is refused because the cluster is away is tried again; any other refusal is final."""
    client: Any = redshift._client

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "ValidationException", "Message": words}}, "ExecuteStatement")

    monkeypatch.setattr(client, "execute_statement", refuse)
    with pytest.raises(RetryableError, match="away"):
        redshift.submit(["SELECT 1"])
    words = "Database name is invalid"
    with pytest.raises(FatalError):
        redshift.submit(["SELECT 1"])
