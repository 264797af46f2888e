"""How clients reach a cluster and prove who they are, as settings of Java clients; secrets only by config provider."""

from __future__ import annotations

import re

from mirrormaker.entries import Entry
from mirrormaker.topology import Auth, Cluster, Flow, IamAuth, NoAuth, ScramAuth, TlsAuth

PROVIDERS = {
    "directory": "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
    "env": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
    "file": "org.apache.kafka.common.config.provider.FileConfigProvider",
}
"""Kafka's own config providers by the name that expressions use; another name must be declared by who uses it."""


def connection_entries(cluster: Cluster) -> tuple[Entry, ...]:
    """How clients reach a cluster and prove who they are."""
    where = Entry(
        "bootstrap.servers", cluster.bootstrap_servers, f"Where {cluster.name} answers. Without it nothing starts."
    )
    return (where, *auth_entries(cluster.auth))


def auth_entries(auth: Auth) -> tuple[Entry, ...]:
    """Java client settings of one way to prove who one is."""
    match auth:
        case NoAuth():
            return (
                Entry(
                    "security.protocol",
                    "PLAINTEXT",
                    "No encryption: for brokers on one machine only. The default, said aloud.",
                ),
            )
        case TlsAuth():
            return _tls_entries(auth)
        case ScramAuth():
            return _scram_entries(auth)
        case IamAuth():
            return _iam_entries(auth)


def config_providers(flow: Flow) -> tuple[str, ...]:
    """Names of the config providers that the flow's values come from (``directory``, ``env`` …)."""
    entries = (*auth_entries(flow.source.auth), *auth_entries(flow.target.auth))
    return tuple(sorted({name for entry in entries for name in re.findall(r"\$\{([a-z]+):", entry.value)}))


def provider_entries(flow: Flow) -> tuple[Entry, ...]:
    """The declarations of those providers."""
    names = config_providers(flow)
    if not names:
        return ()
    listed = Entry(
        "config.providers", ", ".join(names), "Where ${provider:...} values come from. Without it they stay text."
    )
    return (
        listed,
        *(
            Entry(
                f"config.providers.{name}.class",
                PROVIDERS[name],
                f"What ${{{name}:...}} means. Without it nothing starts.",
            )
            for name in names
            if name in PROVIDERS
        ),
    )


def _trust_entries(location: str) -> tuple[Entry, ...]:
    if not location:
        return ()
    return (
        Entry("ssl.truststore.type", "PEM", "The file below is PEM. Without it Java expects its own format."),
        Entry("ssl.truststore.location", location, "Whom to trust. Without it only public authorities are trusted."),
    )


def _tls_entries(auth: TlsAuth) -> tuple[Entry, ...]:
    protocol = Entry("security.protocol", "SSL", "Encrypted. Without it the broker's TLS port closes the connection.")
    certificate: tuple[Entry, ...] = ()
    if auth.certificate_location:
        certificate = (
            Entry("ssl.keystore.type", "PEM", "The two below are PEM. Without it Java expects its own format."),
            Entry(
                "ssl.keystore.certificate.chain",
                _file_reference(auth.certificate_location),
                "The client's certificate, read at start. Without it the broker refuses the client.",
            ),
            Entry(
                "ssl.keystore.key",
                _file_reference(auth.key_location),
                "Its private key, read at start: it is not in this file. Without it the broker refuses the client.",
            ),
        )
    password = (
        (Entry("ssl.key.password", auth.key_password_reference, "Of the key. Without it the key cannot be read."),)
        if auth.key_password_reference
        else ()
    )
    return (protocol, *_trust_entries(auth.truststore_location), *certificate, *password)


def _file_reference(location: str) -> str:
    """A file's content by Kafka's DirectoryConfigProvider: folder, then file name."""
    folder, _, name = location.rpartition("/")
    return f"${{directory:{folder or '.'}:{name}}}"


def _scram_entries(auth: ScramAuth) -> tuple[Entry, ...]:
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    return (
        Entry(
            "security.protocol",
            "SASL_SSL",
            "Encrypted, with a login. Without it the password is refused or goes in clear.",
        ),
        Entry(
            "sasl.mechanism",
            auth.mechanism,
            "The login's kind; MSK offers SCRAM-SHA-512. Without it Java tries Kerberos.",
        ),
        *_trust_entries(auth.truststore_location),
        Entry(
            "sasl.jaas.config",
            f'{login} username="{auth.username}" password="{auth.password_reference}";',
            "The login, by config provider. Without it there is none; written in clear it would leak with this file.",
        ),
    )


def _iam_entries(auth: IamAuth) -> tuple[Entry, ...]:
    role = f' awsRoleArn="{auth.role_arn}"' if auth.role_arn else ""
    return (
        Entry("security.protocol", "SASL_SSL", "IAM login runs inside TLS. Without it the port closes the connection."),
        Entry(
            "sasl.mechanism",
            "AWS_MSK_IAM",
            "MSK's IAM login. Without it Java tries Kerberos. Needs aws-msk-iam-auth on the class path.",
        ),
        Entry(
            "sasl.jaas.config",
            f"software.amazon.msk.auth.iam.IAMLoginModule required{role};",
            "The login module. Without it there is no login.",
        ),
        Entry(
            "sasl.client.callback.handler.class",
            "software.amazon.msk.auth.iam.IAMClientCallbackHandler",
            "Signs the login with the machine's AWS credentials. Without it the login fails.",
        ),
    )
