"""From the settings to what the log's trust hangs on: the key that signs digests, and the anchor outside the bucket."""

from __future__ import annotations

from connectors.aws import AwsClients
from connectors.dynamodb import EffectTable
from connectors.signing import FileSigner, KmsSigner, create_key_file
from consumers.audit.anchors import TableAnchor
from consumers.audit.settings import AuditSettings
from schemas.errors import ConfigError


def signer_of(settings: AuditSettings, aws: AwsClients) -> FileSigner | KmsSigner | None:
    """What signs the digests; None when neither key is named.

    Raises:
        ConfigError: both are named, or the key file is none.
    """
    if settings.signing_kms_key and settings.signing_key_file:
        raise ConfigError(
            "audit: both signing_kms_key and signing_key_file are given", hint="digests are signed by one key: name it"
        )
    if settings.signing_kms_key:
        return KmsSigner(aws.client("kms"), settings.signing_kms_key)
    if settings.signing_key_file:
        create_key_file(settings.signing_key_file)
        return FileSigner(settings.signing_key_file)
    return None


def anchor_of(settings: AuditSettings, aws: AwsClients) -> TableAnchor | None:
    """Where the last digest is noted; None when no table is named."""
    return TableAnchor(EffectTable(aws.client("dynamodb"), settings.anchor_table)) if settings.anchor_table else None
