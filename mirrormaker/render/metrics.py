"""Rules of the official Prometheus agent for JMX: what a MirrorMaker or Connect process shows of a flow, and no more.

The agent reads the beans when it is asked and at no other time; a narrow list keeps that to some milliseconds.
"""

from __future__ import annotations

from mirrormaker.entries import comment_text
from mirrormaker.topology import Flow

AGENT_VERSION = "1.0.1"
"""Of ``io.prometheus.jmx:jmx_prometheus_javaagent``, with which the rules were tested."""

TASK_STATE = "kafka_connect_task_state"
"""1 for the state that a task is in; labels connector, task and state (running, failed, paused …)."""

_PARTITION = "kafka.connect.mirror<type=MirrorSourceConnector, source=(.+), target=(.+), topic=(.+), partition=(\\d+)>"
_TASK = 'kafka.connect<type={}-task-metrics, connector="?([^",]+)"?, task="?(\\d+)"?>'
_PRODUCER = 'kafka.producer<type=producer-metrics, client-id="?([^",]+)"?>'
_RULES = f"""\
lowercaseOutputName: true

# Only these beans are read. Without the list every bean of the process is, at each scrape.
includeObjectNames:
  - "kafka.connect.mirror:type=MirrorSourceConnector,*"
  - "kafka.connect:type=connector-task-metrics,*"
  - "kafka.connect:type=source-task-metrics,*"
  - "kafka.producer:type=producer-metrics,*"

rules:
  # What was copied so far, by partition: the rates of these are the flow's.
  - pattern: '{_PARTITION}<>(record|byte)-count: (.+)'
    name: kafka_connect_mirror_$5s_total
    type: COUNTER
    labels: {{ source: "$1", target: "$2", topic: "$3", partition: "$4" }}

  # How old records are when they are polled, and how long it takes from their timestamp to the copy's acknowledgement.
  - pattern: '{_PARTITION}<>(record-age|replication-latency)-ms-(avg|max): (.+)'
    name: kafka_connect_mirror_$5_ms_$6
    type: GAUGE
    labels: {{ source: "$1", target: "$2", topic: "$3", partition: "$4" }}

  # The state of each task as a label. A task that has failed stays failed until its process is started again.
  - pattern: '{_TASK.format("connector")}<>status: (.+)'
    name: {TASK_STATE}
    value: 1
    type: GAUGE
    labels: {{ connector: "$1", task: "$2", state: "$3" }}

  # Records that a task has written, and how many there are in a transaction: one by the other gives commits.
  - pattern: '{_TASK.format("source")}<>source-record-write-total: (.+)'
    name: kafka_connect_source_records_written_total
    type: COUNTER
    labels: {{ connector: "$1", task: "$2" }}
  - pattern: '{_TASK.format("source")}<>transaction-size-(avg|max): (.+)'
    name: kafka_connect_transaction_records_$3
    type: GAUGE
    labels: {{ connector: "$1", task: "$2" }}

  # Time that producers have spent in committing and in aborting transactions, and records that the cluster refused.
  - pattern: '{_PRODUCER}<>txn-(commit|abort)-time-ns-total: (.+)'
    name: kafka_producer_transaction_$2_ns_total
    type: COUNTER
    labels: {{ client: "$1" }}
  - pattern: '{_PRODUCER}<>record-error-total: (.+)'
    name: kafka_producer_record_errors_total
    type: COUNTER
    labels: {{ client: "$1" }}
"""


def jmx_rules(flow: Flow) -> str:
    """The agent's file for the process of one flow."""
    header = (
        f"Metrics of {flow.name} for Prometheus. Written by feed mirror render.\n"
        f"Read by jmx_prometheus_javaagent {AGENT_VERSION} (Maven: io.prometheus.jmx), which the run script puts into "
        "the process: -javaagent:AGENT.jar=HOST:PORT:THIS-FILE\n"
        "The agent reads when it is asked and never in between."
    )
    return comment_text(header) + _RULES
