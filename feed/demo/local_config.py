"""The ``feed.yaml`` of the local regions, complete: what a newcomer may read, change and use with every command."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from feed.config import FeedConfig, load_config
from feed.demo.plan import AWS_REGIONS, CONSUMER_REGIONS, FEED, HOME, DemoPlan
from feed.local import Stack
from feed.local.replicator import replica_table

PARTITIONS = 8
SLOTS = 4

# Reports and logs of a demo are looked at within seconds; the defaults are for months.
CONSUMERS: Mapping[str, dict[str, Any]] = {
    "warehouse": {
        # verify reads from a pick which changes it saw; the hottest orders are proven by their counts
        "sink": {"table": "picks", "keep_history": 50},
        # a member that was killed comes back under its name and keeps its partitions
        "runtime": {"static_member_id": "warehouse-1", "in_flight": 8},
    },
    "notification": {
        "sink": {
            "messenger": {"kind": "ses", "sender": "orders@shop.example"},
            "table": "notifications",
            "rate_per_s": 1_000,
            # of all statuses, those that a customer waits for: each message is three writes on the same two cores
            "templates": {
                "shipped": {
                    "subject": "Your order $orderId is on its way",
                    "text": "Your order $orderId has left our warehouse.",
                },
                "cancelled": {
                    "subject": "Your order $orderId is cancelled",
                    "text": "Your order $orderId was cancelled.",
                },
            },
        },
        "runtime": {"in_flight": 4},
    },
    "audit": {
        "sink": {
            "bucket": "orders-audit",
            "segment_ms": 1_000,
            "retention_days": 1,
            "digest_interval_ms": 15_000,
            "anchor_table": "audit-anchors",
        }
    },
    "archive": {"sink": {"bucket": "orders-archive", "open_ms": 4_000, "grace_ms": 1_000}},
    "analytics": {
        "warehouse": {"workgroup": "local", "copy_role": "arn:aws:iam::000000000000:role/copy"},
        "sink": {"bucket": "orders-analytics", "interval_ms": 5_000},
    },
}


LOOK_UP: Mapping[str, Any] = {"version_attribute": "revision", "attributes": ["customerId", "total"], "wait_ms": 500}
"""How the warehouse looks orders up in its region's replica, when there is one."""


def write_local_config(stack: Stack, plan: DemoPlan, file: Path) -> FeedConfig:
    """Write the file, readable by its owner only, and load it as any command would."""
    text = yaml.safe_dump(local_config(stack, plan), sort_keys=False, allow_unicode=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(f"# {FEED}, in the local regions; `feed up` and `feed demo` write this file anew.\n{text}")
    return load_config(file)


def local_config(stack: Stack, plan: DemoPlan) -> dict[str, Any]:
    """As plain data."""
    return {
        "feed": FEED,
        "table": {
            "name": FEED,
            "region": HOME,
            "key": ["orderId"],
            "image_schema": "order",
            "time_attribute": "updatedAt",
            "version_attribute": "revision",
        },
        "topic": {"partitions": PARTITIONS, "slots": SLOTS},
        "regions": {region: _region(stack, region) for region in plan.regions},
        "mirrors": [
            {
                "target": region,
                "source_bootstrap_servers": stack.link(region).addresses["address"],
                "metrics_url": stack.part(f"mirror-{region}").addresses["metrics"],
            }
            for region in plan.regions
            if region != HOME
        ],
        # the least that brokers allow by default: a killed worker is noticed so long after its last heartbeat
        "producer": {"session_timeout_ms": 6_000},
        "consumers": {name: _consumer(stack, plan, name) for name in plan.consumers},
    }


def _region(stack: Stack, region: str) -> dict[str, Any]:
    dynamodb, s3, mail = (stack.endpoint(name) for name in ("dynamodb", "s3", "ministack"))
    endpoints = {"dynamodb": dynamodb, "dynamodbstreams": dynamodb, "s3": s3}
    endpoints |= dict.fromkeys(("sns", "sqs", "sesv2"), mail)
    if "warehouse-db" in stack.parts:
        endpoints["redshift-data"] = stack.endpoint("warehouse-db")
    return {
        "kafka": {"bootstrap_servers": stack.bootstrap(region)},
        "aws": {
            "region": AWS_REGIONS[region],
            "endpoints": endpoints,
            "access_key_id": stack.s3.access_key_id,
            "secret_access_key": stack.s3.secret_access_key,
        },
        "replication_factor": 1,
        "min_insync_replicas": 1,
    }


def _consumer(stack: Stack, plan: DemoPlan, name: str) -> dict[str, Any]:
    section = copy.deepcopy(CONSUMERS[name])
    if name == "warehouse" and plan.replica_delay_ms is not None:
        section["sink"]["look_up"] = {"table": replica_table(FEED, CONSUMER_REGIONS[name]), **LOOK_UP}
    if name == "audit":  # there is no KMS here: the key lives with the state that it vouches for
        section["sink"]["signing_key_file"] = str(stack.site.state_dir / "audit-signing-key.pem")
    return {"kind": name, "region": CONSUMER_REGIONS[name], **section}
