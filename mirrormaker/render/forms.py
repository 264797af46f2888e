"""The forms in which people run MirrorMaker, what each can promise, and the one function that renders any of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from mirrormaker.render import names, policy
from mirrormaker.render.connect import render_connect
from mirrormaker.render.dedicated import LOCAL_LISTENER, render_dedicated
from mirrormaker.render.msk_connect import MskConnectDeployment, render_msk_connect
from mirrormaker.render.msk_replicator import render_msk_replicator
from mirrormaker.render.run_script import CONNECT, DEDICATED, run_files
from mirrormaker.render.strimzi import StrimziDeployment, render_strimzi
from mirrormaker.topology import Flow, IamAuth, NoAuth
from schemas.errors import ConfigError


class Form(StrEnum):
    """How MirrorMaker is run."""

    DEDICATED = "dedicated"
    CONNECT = "connect"
    MSK_CONNECT = "msk-connect"
    STRIMZI = "strimzi"
    MSK_REPLICATOR = "msk-replicator"


class Delivery(StrEnum):
    """How often a record of the source appears in the copy, after any crash."""

    ONCE = "once"
    AT_LEAST_ONCE = "at least once"


@dataclass(frozen=True)
class Guarantee:
    """What a form can promise, and why not more."""

    delivery: Delivery
    why: str


GUARANTEES: dict[Form, Guarantee] = {
    Form.DEDICATED: Guarantee(
        Delivery.ONCE,
        "Records and source offsets are one transaction at the target; killed under load and compared record for "
        "record.",
    ),
    Form.CONNECT: Guarantee(
        Delivery.ONCE, "The same, if every worker of the group runs with exactly.once.source.support=enabled."
    ),
    Form.STRIMZI: Guarantee(Delivery.ONCE, "The same workers, started by the operator."),
    Form.MSK_CONNECT: Guarantee(
        Delivery.AT_LEAST_ONCE,
        "Its list of worker keys does not refuse exactly.once.source.support, but what AWS runs was not observed; "
        "a lost worker means up to five minutes without copying; and its Kafka 3.7 translates group offsets late or "
        "early.",
    ),
    Form.MSK_REPLICATOR: Guarantee(Delivery.AT_LEAST_ONCE, "AWS promises no more; it has no exactly-once mode."),
}

SERVICES = {Form.MSK_CONNECT: "kafkaconnect", Form.MSK_REPLICATOR: "kafka"}
"""Forms that AWS runs, and the service that takes the role."""


@dataclass(frozen=True)
class Deployment:
    """What only the place of running knows; each form takes what it needs.

    Attributes:
        rest_listener: dedicated and connect: where nodes of the group reach each other.
        service_execution_role_arn: msk-connect and msk-replicator: the role they run as.
        plugin_arn: msk-connect: the custom plugin.
        strimzi: strimzi: namespace, version, replicas and image.
        principal: whom the ACL commands are for.
    """

    rest_listener: str = ""
    service_execution_role_arn: str = ""
    plugin_arn: str = ""
    strimzi: StrimziDeployment = field(default_factory=StrimziDeployment)
    principal: str = "User:mirror"


@dataclass(frozen=True)
class Rendered:
    """The files of one flow in one form, by name, and what they can promise."""

    form: Form
    guarantee: Guarantee
    files: dict[str, str]


def render(
    form: Form, flow: Flow, deployment: Deployment | None = None, *, accepted: Delivery = Delivery.ONCE
) -> Rendered:
    """Complete files for a flow, with the policies they need.

    Args:
        form: how it is run.
        flow: what is copied.
        deployment: what only the place of running knows.
        accepted: the weakest delivery that the reader can live with.

    Raises:
        ConfigError: the form promises less than ``accepted``, or something that it needs is not given.
    """
    place = deployment or Deployment()
    guarantee = GUARANTEES[form]
    if guarantee.delivery is Delivery.AT_LEAST_ONCE and accepted is Delivery.ONCE:
        raise ConfigError(
            f"{form} can repeat records after a failure: {guarantee.why}",
            hint="Choose dedicated, connect or strimzi, or say --accept-duplicates (our sinks drop repeats).",
        )
    return Rendered(form, guarantee, {**_files(form, flow, place), **_policies(form, flow, place)})


def _files(form: Form, flow: Flow, place: Deployment) -> dict[str, str]:
    match form:
        case Form.DEDICATED:
            base = f"{flow.source.name}-{flow.target.name}"
            text = render_dedicated(flow, rest_listener=place.rest_listener or LOCAL_LISTENER)
            arguments = f'"$here/{base}-mm2.properties" --clusters {flow.target.name}'
            return {f"{base}-mm2.properties": text, **run_files(flow, program=DEDICATED, arguments=arguments)}
        case Form.CONNECT:
            files = render_connect(flow, listener=place.rest_listener or "http://0.0.0.0:8083")
            arguments = f'"$here/{flow.source.name}-{flow.target.name}-worker.properties"'
            return {**files, **run_files(flow, program=CONNECT, arguments=arguments)}
        case Form.STRIMZI:
            return render_strimzi(flow, place.strimzi)
        case Form.MSK_CONNECT:
            role = _given(place.service_execution_role_arn, "the service execution role's ARN", "--role-arn")
            plugin = _given(place.plugin_arn, "the custom plugin's ARN", "--plugin-arn")
            return render_msk_connect(flow, MskConnectDeployment(role, plugin))
        case Form.MSK_REPLICATOR:
            role = _given(place.service_execution_role_arn, "the service execution role's ARN", "--role-arn")
            return render_msk_replicator(flow, service_execution_role_arn=role)


def names_of(form: Form, flow: Flow) -> names.Names:
    """What the form calls its groups, connectors and topics."""
    match form:
        case Form.DEDICATED:
            return names.dedicated_names(flow)
        case Form.STRIMZI:
            return names.strimzi_names(flow)
        case Form.MSK_CONNECT:
            return names.msk_connect_names(flow)
        case Form.MSK_REPLICATOR:
            return names.msk_replicator_names(flow)
        case Form.CONNECT:
            return names.connect_names(flow)


def _policies(form: Form, flow: Flow, place: Deployment) -> dict[str, str]:
    """The policies for how the clusters are guarded: IAM where one uses it, ACLs where one has another login."""
    base = f"{flow.source.name}-{flow.target.name}"
    auths = (flow.source.auth, flow.target.auth)
    chosen = names_of(form, flow)
    files: dict[str, str] = {}
    if form in SERVICES:
        trust = policy.trust_policy(SERVICES[form], place.service_execution_role_arn)
        files[f"{base}-trust-policy.json"] = trust
    if form is Form.MSK_REPLICATOR:
        return {**files, f"{base}-iam-policy.json": policy.replicator_policy(flow)}
    if any(isinstance(auth, IamAuth) for auth in auths):
        files[f"{base}-iam-policy.json"] = policy.iam_policy(flow, chosen)
    if any(not isinstance(auth, NoAuth | IamAuth) for auth in auths):
        files[f"{base}-acls.sh"] = policy.acl_script(flow, chosen, principal=place.principal)
    return files


def _given(value: str, what: str, option: str) -> str:
    if not value:
        raise ConfigError(f"This form needs {what}.", hint=f"Give it with {option}.")
    return value
