"""``feed.yaml`` → MirrorMaker's flows."""

from __future__ import annotations

from dataclasses import dataclass

import mirrormaker
from connectors.kafka import settings as kafka
from feed.config.models import MirrorSettings, RegionSettings
from feed.config.root import FeedConfig
from schemas.errors import ConfigError


@dataclass(frozen=True)
class ClusterFacts:
    """What MSK's own forms and policies need to know of a cluster, and a feed does not."""

    arn: str = ""
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()


def flows_of(
    config: FeedConfig,
    *,
    region: str | None = None,
    source: ClusterFacts | None = None,
    target: ClusterFacts | None = None,
) -> tuple[mirrormaker.Flow, ...]:
    """The flows of ``mirrors``, or only the one to ``region``.

    Raises:
        ConfigError: no such mirror.
    """
    mirrors = [mirror for mirror in config.mirrors if region in (None, mirror.target)]
    if not mirrors:
        targets = ", ".join(mirror.target for mirror in config.mirrors) or "none"
        raise ConfigError(
            f"There is no mirror to {region}." if region else "There are no mirrors.",
            hint=f"mirrors in feed.yaml: {targets}.",
        )
    return tuple(_flow(config, mirror, source or ClusterFacts(), target or ClusterFacts()) for mirror in mirrors)


def _flow(config: FeedConfig, mirror: MirrorSettings, source: ClusterFacts, target: ClusterFacts) -> mirrormaker.Flow:
    at_source = _cluster(config.table.region, config.source, source, mirror.source_bootstrap_servers)
    return mirrormaker.Flow(
        source=at_source,
        target=_cluster(mirror.target, config.regions[mirror.target], target),
        feeds=(config.feed,),
        tasks_max=mirror.tasks,
        max_record_bytes=config.topic.max_message_bytes,
    )


def _cluster(
    name: str, region: RegionSettings, facts: ClusterFacts, bootstrap_servers: str | None = None
) -> mirrormaker.Cluster:
    return mirrormaker.Cluster(
        name=name,
        bootstrap_servers=bootstrap_servers or region.kafka.bootstrap_servers,
        auth=_auth(name, region.kafka.auth),
        replication_factor=region.replication_factor,
        arn=facts.arn,
        region=region.aws.region,
        subnet_ids=facts.subnet_ids,
        security_group_ids=facts.security_group_ids,
    )


def _auth(name: str, auth: kafka.Auth) -> mirrormaker.topology.Auth:
    """The same login for Java clients.

    A secret becomes the name of an environment variable of MirrorMaker's process.
    """
    variable = name.upper().replace("-", "_")
    match auth:
        case kafka.TlsAuth():
            return mirrormaker.TlsAuth(
                truststore_location=auth.ca_file or "",
                certificate_location=auth.certificate_file or "",
                key_location=auth.key_file or "",
                key_password_reference=f"${{env:{variable}_KAFKA_KEY_PASSWORD}}" if auth.key_password else "",
            )
        case kafka.ScramAuth():
            return mirrormaker.ScramAuth(
                username=auth.username,
                password_reference=f"${{env:{variable}_KAFKA_PASSWORD}}",
                mechanism=auth.mechanism,
                truststore_location=auth.ca_file or "",
            )
        case kafka.IamAuth():
            return mirrormaker.IamAuth(role_arn=auth.role_arn or "")
        case _:
            return mirrormaker.NoAuth()
