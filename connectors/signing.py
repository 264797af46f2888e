"""Signatures by a key that is not in this process's hands (KMS), or by a key file where there is no KMS.

Both sign ECDSA on P-256 over SHA-256, so whoever verifies needs the public key only and does not care which it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.aws import aws_error_of
from schemas.errors import ConfigError

ALGORITHM = "ECDSA_SHA_256"


class Signer(Protocol):
    """Something that can sign."""

    key_id: str
    """Names the key in what is signed."""

    def sign(self, message: bytes) -> bytes:
        """The signature, DER.

        Raises:
            RetryableError: the key service is away.
        """
        ...


class FileSigner:
    """Signs with a private key from a file: for the local regions, where everything is in one hand anyway."""

    def __init__(self, path: Path) -> None:
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigError(
                f"the signing key {path} cannot be read: {error}",
                hint="a PEM file with an EC key on P-256, without a password",
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ConfigError(f"the signing key {path} is no EC key", hint="create one on the curve P-256")
        self._key = key
        self.key_id = f"file:{path.name}"

    def sign(self, message: bytes) -> bytes:
        """The signature, DER."""
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))

    def public_key(self) -> bytes:
        """The public half, PEM."""
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(encoding, form)


class KmsSigner:
    """Signs with an asymmetric KMS key (ECC_NIST_P256, SIGN_VERIFY): the process may use the key and never sees it."""

    def __init__(self, client: Any, key_id: str) -> None:
        self._client = client
        self.key_id = key_id

    def sign(self, message: bytes) -> bytes:
        """The signature, DER."""
        digest = hashes.Hash(hashes.SHA256())
        digest.update(message)
        try:
            answer = self._client.sign(
                KeyId=self.key_id, Message=digest.finalize(), MessageType="DIGEST", SigningAlgorithm=ALGORITHM
            )
        except (ClientError, BotoCoreError) as error:
            raise aws_error_of(error, f"signing with the KMS key {self.key_id}") from error
        signature: bytes = answer["Signature"]
        return signature

    def public_key(self) -> bytes:
        """The public half, PEM."""
        try:
            der: bytes = self._client.get_public_key(KeyId=self.key_id)["PublicKey"]
        except (ClientError, BotoCoreError) as error:
            raise aws_error_of(error, f"reading the public key of {self.key_id}") from error
        key = serialization.load_der_public_key(der)
        return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def create_key_file(path: Path) -> None:
    """Make a new private key, readable by its owner only, where there is none."""
    if path.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))


def verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is the key's over ``message``.

    Raises:
        ConfigError: the public key is none that can be used here.
    """
    try:
        key = serialization.load_pem_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"the public key cannot be read: {error}", hint="a PEM file, as `feed` exports it") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ConfigError("the public key is no EC key", hint="the key of the digests is on the curve P-256")
    try:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
