"""What MirrorMaker's own topics say, read as states and offsets."""

import json

from mirrormaker.status import FlowStatus, PartitionState, TaskState, copied_offsets, task_states

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
