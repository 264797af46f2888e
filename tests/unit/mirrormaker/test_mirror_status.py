"""What MirrorMaker's own topics say, read as states and offsets."""

import json

import pytest
from prometheus_client import CollectorRegistry

from connectors.telemetry import Checks
from mirrormaker.status import (
    FlowStatus,
    PartitionState,
    StatusWatch,
    TaskState,
    copied_offsets,
    rates,
    read_metrics,
    task_states,
)
from schemas.errors import ConfigError, RetryableError

STATUS = {
    b"status-connector-MirrorSourceConnector": {"state": "RUNNING", "worker_id": "w"},
    b"status-task-MirrorSourceConnector-0": {"state": "RUNNING", "worker_id": "w"},
    b"status-task-MirrorSourceConnector-1": {"state": "FAILED", "worker_id": "w", "trace": "java.lang.X: why\n\tat a"},
    b"status-task-MirrorCheckpointConnector-0": {"state": "DESTROYED", "worker_id": "w"},
    b"status-topic-orders:connector-x": {"topic": {}},
}


def records(documents: dict[bytes, dict[str, object]]) -> dict[bytes, bytes | None]:
    return {key: json.dumps(value).encode() for key, value in documents.items()}


def running(*partitions: PartitionState) -> FlowStatus:
    return FlowStatus("eu->us", (TaskState("MirrorSourceConnector", 0, "RUNNING", "w"),), partitions)


def test_states_are_read_and_what_is_gone_is_left_out() -> None:
    """Connectors and tasks with their states; destroyed tasks, tombstones and other records are none."""
    found = task_states({**records(STATUS), b"status-task-gone-0": None, b"\xff": b"{"})
    assert [(one.connector, one.task, one.state) for one in found] == [
        ("MirrorSourceConnector", None, "RUNNING"),
        ("MirrorSourceConnector", 0, "RUNNING"),
        ("MirrorSourceConnector", 1, "FAILED"),
    ]
    assert found[2].trace == "java.lang.X: why"


def test_offsets_of_one_connector_are_read() -> None:
    """Topic and partition with the offset of the last copied record; other connectors and unreadable keys are none."""
    key = json.dumps(["MirrorSourceConnector", {"cluster": "eu", "partition": 3, "topic": "orders"}]).encode()
    other = json.dumps(["MirrorCheckpointConnector", {"group": "g"}]).encode()
    found = copied_offsets({key: b'{"offset":41}', other: b"{}", b"?": b"{}"}, "MirrorSourceConnector")
    assert found == {("orders", 3): 41}


def test_faults_name_failed_tasks_and_records_that_wait() -> None:
    """A failed task, a flow that never ran and a record that waits too long are a sentence each; the rest is none."""
    waiting = PartitionState("orders", 0, 10, 20, waits=True, waiting_ms=90_000)
    assert running(waiting).faults(stall_after_ms=60_000) == ("eu->us: orders/0 waits for 90 s at offset 10.",)
    assert running(waiting).faults(stall_after_ms=120_000) == ()
    assert "FAILED" in FlowStatus("f", task_states(records(STATUS)), ()).faults(stall_after_ms=1)[0]
    assert FlowStatus("f", (), ()).faults(stall_after_ms=1) == ("f: no copying task was ever started.",)


def test_marks_of_transactions_are_no_lag() -> None:
    """When no record waits the lag is nothing, though the source's end is further by the transactions' marks."""
    assert PartitionState("orders", 0, 10, 13, waits=False, waiting_ms=0).lag_at_most == 0
    assert PartitionState("orders", 0, None, 13, waits=True, waiting_ms=0).lag_at_most == 13


METRICS = """\
# TYPE kafka_connect_mirror_records_total counter
kafka_connect_mirror_records_total{partition="0",source="eu",target="us",topic="orders"} 206.0
kafka_connect_mirror_records_total{partition="1",source="eu",target="us",topic="orders"} 294.0
# TYPE kafka_connect_mirror_bytes_total counter
kafka_connect_mirror_bytes_total{partition="0",source="eu",target="us",topic="orders"} 1000.0
# TYPE kafka_connect_mirror_replication_latency_ms_max gauge
kafka_connect_mirror_replication_latency_ms_max{partition="0",source="eu",target="us",topic="orders"} 180.0
kafka_connect_mirror_replication_latency_ms_max{partition="1",source="eu",target="us",topic="orders"} NaN
# TYPE kafka_connect_source_records_written_total counter
kafka_connect_source_records_written_total{connector="MirrorSourceConnector",task="0"} 500.0
# TYPE kafka_connect_transaction_records_avg gauge
kafka_connect_transaction_records_avg{connector="MirrorSourceConnector",task="0"} 50.0
# TYPE kafka_connect_task_state gauge
kafka_connect_task_state{connector="MirrorSourceConnector",state="running",task="0"} 1.0
kafka_connect_task_state{connector="MirrorSourceConnector",state="failed",task="1"} 1.0
# TYPE kafka_producer_transaction_commit_ns_total counter
kafka_producer_transaction_commit_ns_total{client="a"} 4.0E7
"""


def test_metrics_of_the_process_are_read() -> None:
    """Totals over partitions and tasks, states of tasks, and what was not measured yet is nothing."""
    found = read_metrics(METRICS)
    assert (found.records, found.bytes, found.latency_ms_max, found.commit_ms) == (500, 1000, 180, 40)
    assert [(task.task, task.state) for task in found.tasks] == [(0, "RUNNING"), (1, "FAILED")]
    with pytest.raises(ConfigError):
        read_metrics("jvm_threads 3\n")
    with pytest.raises(ConfigError):
        read_metrics("<html>{")


def test_rates_are_differences_and_know_a_process_that_began_anew() -> None:
    """Records, bytes and commits a second between two readings; counters that fell count from nothing."""
    before, after = read_metrics(METRICS), read_metrics(METRICS.replace("294.0", "494.0").replace("500.0", "700.0"))
    found = rates(before, after, 2.0)
    assert (found.records_per_s, found.commits_per_s) == (100, 2)
    assert rates(after, before, 1.0).records_per_s == 500


def test_a_watch_is_red_while_something_is_not_as_it_should_be() -> None:
    """A failed task, a record that waits, and a cluster that is away are red with their reason; then green again."""
    registry, health = CollectorRegistry(), Checks()
    watch = StatusWatch(registry, health, stall_after_ms=60_000)
    waiting = PartitionState("orders", 0, 10, 20, waits=True, waiting_ms=90_000)
    assert watch.look("eu->us", lambda: running(waiting)) == ("eu->us: orders/0 waits for 90 s at offset 10.",)
    assert not health.read()["mirror-eu->us"].ok
    labels = {"flow": "eu->us", "topic": "orders"}
    assert registry.get_sample_value("feed_mirror_lag_seconds", labels) == 90
    assert registry.get_sample_value("feed_mirror_lag_records", labels) == 9
    assert registry.get_sample_value("feed_mirror_tasks", {"flow": "eu->us", "state": "RUNNING"}) == 1

    def away() -> FlowStatus:
        raise RetryableError("us does not answer.", hint="later")

    assert watch.look("eu->us", away) == ("eu->us: us does not answer.",)
    assert watch.look("eu->us", running) == ()
    assert health.read()["mirror-eu->us"].ok
