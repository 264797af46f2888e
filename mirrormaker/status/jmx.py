"""What MirrorMaker's process says of itself by its metrics endpoint (the rules of ``render.metrics``), as values."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from mirrormaker.render.metrics import TASK_STATE
from mirrormaker.status.flow import TaskState
from schemas.errors import ConfigError

_PREFIX = "kafka_connect_mirror_"


@dataclass(frozen=True)
class ProcessMetrics:
    """One reading of a process; totals count from its start.

    Attributes:
        records: copied.
        bytes: of them, keys and values.
        tasks: with their states.
        written: records that tasks have written in committed transactions.
        transaction_records: records in a transaction, on average since the start; 0 before the first.
        latency_ms_max: from a record's timestamp until its copy was acknowledged, the most in the last half minute.
        commit_ms: spent in committing, all producers together.
        abort_ms: spent in aborting.
        record_errors: records that the target refused.
    """

    records: float
    bytes: float
    tasks: tuple[TaskState, ...]
    written: float
    transaction_records: float
    latency_ms_max: float
    commit_ms: float
    abort_ms: float
    record_errors: float


@dataclass(frozen=True)
class Rates:
    """What happened between two readings of the same process."""

    records_per_s: float
    bytes_per_s: float
    commits_per_s: float
    commit_ms_per_s: float
    abort_ms: float
    record_errors: float


def read_metrics(text: str) -> ProcessMetrics:
    """A reading of the endpoint.

    Raises:
        ConfigError: it is none, or the agent runs with other rules than ours.
    """
    sums: dict[str, float] = {}
    highest: dict[str, float] = {}
    tasks = []
    sizes: list[float] = []
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if math.isnan(sample.value):
                    continue  # nothing was measured yet
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
                highest[sample.name] = max(highest.get(sample.name, 0.0), sample.value)
                if sample.name == TASK_STATE and sample.value == 1:
                    tasks.append(_task(sample.labels))
                if sample.name == "kafka_connect_transaction_records_avg":
                    sizes.append(sample.value)
    except (ValueError, KeyError) as error:
        raise ConfigError(f"This is no answer of a metrics endpoint: {error}.", hint="Check the URL.") from error
    if f"{_PREFIX}records_total" not in sums and not tasks:
        raise ConfigError(
            "The endpoint shows nothing of MirrorMaker.",
            hint="Start the agent with the rendered *-jmx.yaml; feed mirror render writes it.",
        )
    return ProcessMetrics(
        records=sums.get(f"{_PREFIX}records_total", 0.0),
        bytes=sums.get(f"{_PREFIX}bytes_total", 0.0),
        tasks=tuple(sorted(tasks, key=lambda task: (task.connector, task.task or 0))),
        written=sums.get("kafka_connect_source_records_written_total", 0.0),
        transaction_records=sum(sizes) / len(sizes) if sizes else 0.0,
        latency_ms_max=highest.get(f"{_PREFIX}replication_latency_ms_max", 0.0),
        commit_ms=sums.get("kafka_producer_transaction_commit_ns_total", 0.0) / 1e6,
        abort_ms=sums.get("kafka_producer_transaction_abort_ns_total", 0.0) / 1e6,
        record_errors=sums.get("kafka_producer_record_errors_total", 0.0),
    )


def rates(before: ProcessMetrics, after: ProcessMetrics, seconds: float) -> Rates:
    """Between two readings; of a process that was started again in between, since its start."""
    if after.records < before.records:
        before = ProcessMetrics(0.0, 0.0, (), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    written = after.written - before.written
    return Rates(
        records_per_s=(after.records - before.records) / seconds,
        bytes_per_s=(after.bytes - before.bytes) / seconds,
        commits_per_s=written / after.transaction_records / seconds if after.transaction_records else 0.0,
        commit_ms_per_s=(after.commit_ms - before.commit_ms) / seconds,
        abort_ms=after.abort_ms - before.abort_ms,
        record_errors=after.record_errors - before.record_errors,
    )


def _task(labels: dict[str, str]) -> TaskState:
    return TaskState(labels["connector"], int(labels["task"]), labels["state"].upper(), worker="")
