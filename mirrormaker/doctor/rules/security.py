"""Logins, secrets, and what the role may do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mirrormaker.doctor.document import Kind, Value
from mirrormaker.doctor.findings import Severity
from mirrormaker.doctor.herder import Part
from mirrormaker.doctor.rule import Hit, Rule
from mirrormaker.doctor.setup import Setup

_SECRET_KEY = re.compile(r"(password|secret|passphrase|ssl\.keystore\.key|ssl\.key)$")
_JAAS_SECRET = re.compile(r"""(?:password|clientSecret|awsSecretKey)\s*=\s*["']?(?P<secret>[^"';\s]+)""")
_EXPRESSION = re.compile(r"\$\{[^}]+\}")
_SECURE = ("SASL_SSL", "SASL_PLAINTEXT", "SSL")
_NEEDED = ("WriteDataIdempotently", "AlterTransactionalId", "DescribeTransactionalId")


def _quiet_refusal(setup: Setup) -> Iterator[Hit]:
    for herder in setup.copying:
        given = herder.connectors[Part.SOURCE].get("source.cluster.security.protocol")
        if given and given.text.strip().upper() in _SECURE:
            yield Hit(given, facts={"source": herder.source})


def _in_clear(setup: Setup) -> Iterator[Hit]:
    for document in setup.documents:
        if document.kind is Kind.POLICY:
            continue
        for value in document.values:
            if _leaks(value):
                yield Hit(value)


def _leaks(value: Value) -> bool:
    text = value.text.strip()
    if value.key.endswith("sasl.jaas.config"):
        found = _JAAS_SECRET.search(text)
        return bool(found and not _EXPRESSION.search(found["secret"]))
    named = _SECRET_KEY.search(value.key) and not value.key.endswith(("passwordSecret.password", "Secret.secretName"))
    return bool(named and text and not _EXPRESSION.search(text))


def _policy_without_transactions(setup: Setup) -> Iterator[Hit]:
    for document in setup.of_kind(Kind.POLICY):
        actions = {value.text.removeprefix("kafka-cluster:") for value in document.values if ".Action" in value.key}
        writes = bool({"WriteData", "*"} & actions) or any("kafka-cluster:*" in value.text for value in document.values)
        missing = [action for action in _NEEDED if not _allowed(action, actions)]
        if writes and missing:
            yield Hit(document.anchor, key="Action", facts={"missing": ", ".join(missing)})


def _allowed(action: str, actions: set[str]) -> bool:
    return any(re.fullmatch(re.escape(given).replace(r"\*", ".*"), action) for given in actions)


RULES = (
    Rule(
        "MM26",
        "a refused login looks like peace",
        Severity.LOSS,
        "When {source} refuses the login or the topic (a password that changed, a role without rights), the task logs "
        "a warning, "
        "stays RUNNING, and copies nothing.",
        "Nothing in this file prevents it: alert when records are written at the source and none arrive.",
        "MirrorSourceTask.poll catches the exception",
        _quiet_refusal,
        certain=False,
    ),
    Rule(
        "MM36",
        "a role that cannot write once",
        Severity.STALL,
        "The policy lets the role write, but not {missing}: with exactly once the worker cannot start its producer.",
        "Allow them on the cluster, and on the transactional ids `connect-cluster-<group>` and "
        "`<group>-<connector>-*`.",
        "MSK's kafka-cluster actions; KIP-618",
        _policy_without_transactions,
    ),
    Rule(
        "MM38",
        "a secret in clear",
        Severity.SURPRISE,
        "Whoever can read this file, its history, or Connect's REST interface (which shows configurations) has the "
        "secret.",
        "Use a config provider: config.providers = env, and ${env:NAME} as the value.",
        "KIP-297, KIP-887",
        _in_clear,
    ),
)
