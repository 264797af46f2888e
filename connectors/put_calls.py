"""Creating small objects in S3, for the paths where a call's cost in CPU decides.

A boto3 PUT costs 1.8 ms of Python here, most of it in the service's model, and a second round trip, since it asks with
``Expect: 100-continue`` before it sends the body, however small. A backlog in 64 partitions is thousands of small
objects. Here the request is written as boto3 would write it (a test compares both), while signing and credentials
(refreshed ones too), connections, TLS and proxies stay botocore's: 0.5 ms.

Only two answers are understood: the object was created, or its name is taken. Whatever else happens (an error, a
redirect, an answer that does not come, an error in the body of a 200) is left to boto3, which does the same once more
with all it knows: creating an object only where there is none may be tried again by anyone.
"""

from __future__ import annotations

import base64
import re
import socket
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SMALL_BYTES: Final = 1024 * 1024
"""Bodies below this are sent so: of a larger one the call is a small part of the cost, and it is worth being asked
for (``Expect: 100-continue``)."""

CHECKSUM: Final = "x-amz-checksum-crc32"
"""S3 compares it with what arrived, and keeps it; a PUT with Object Lock needs one."""

SOCKET_OPTIONS: Final = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
"""As boto3's with ``tcp_keepalive``. Without the first, head and body wait 40 ms for each other's acknowledgement."""

_PLAIN_BUCKET: Final = re.compile(r"(?!.*--x-s3$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""Not an access point's ARN, nor a directory bucket: their addresses and signatures are others."""


class PutCalls:
    """Small create-only PUTs, signed by botocore. Safe to call from any thread.

    Args:
        client: boto3's, whose address, region, time-outs and number of connections are taken over.
        credentials: botocore's; they refresh themselves.
    """

    def __init__(self, client: S3Client, credentials: Credentials) -> None:
        config: Any = client.meta.config  # the stubs do not have what it was made with
        self._endpoint_url = client.meta.endpoint_url
        self._region = client.meta.region_name
        self._credentials = credentials
        self._path_style = (config.s3 or {}).get("addressing_style") == "path"
        self._agent = config.user_agent or "botocore"
        self._http = URLLib3Session(
            proxies=config.proxies or get_environ_proxies(self._endpoint_url),
            timeout=(config.connect_timeout, config.read_timeout),  # type: ignore[arg-type]  # as urllib3 has it
            max_pool_connections=config.max_pool_connections,
            socket_options=SOCKET_OPTIONS,  # type: ignore[arg-type]  # as the sockets have it
        )

    @classmethod
    def of(cls, client: S3Client, credentials: Credentials | None) -> PutCalls | None:
        """The calls, or None where the process has no credentials, or boto3 was told a special way to reach S3."""
        config: Any = client.meta.config  # as above
        special = ("use_accelerate_endpoint", "use_dualstack_endpoint", "payload_signing_enabled")
        told = [name for name in special if (config.s3 or {}).get(name)]
        if credentials is None or told or config.use_fips_endpoint or config.use_dualstack_endpoint:
            return None
        return cls(client, credentials)

    def create(
        self,
        bucket: str,
        key: str,
        body: bytes,
        metadata: Mapping[str, str],
        *,
        content_type: str,
        retain_until: datetime | None,
    ) -> bool | None:
        """Create an object unless its name is taken.

        Returns:
            True: created. False: the name is taken. None: something else, and whether it was created is unknown: ask
            boto3.
        """
        if len(body) >= SMALL_BYTES or not _PLAIN_BUCKET.fullmatch(bucket) or not _is_ascii(metadata):
            return None
        headers = {
            "User-Agent": self._agent,
            "Content-Type": content_type,
            "If-None-Match": "*",
            CHECKSUM: base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode(),
            "x-amz-sdk-checksum-algorithm": "CRC32",
            **{f"x-amz-meta-{name}": value for name, value in metadata.items()},
        }
        if retain_until is not None:
            headers["x-amz-object-lock-mode"] = "COMPLIANCE"
            headers["x-amz-object-lock-retain-until-date"] = f"{retain_until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        try:
            status, answer = self._send(self._url(bucket, key), headers, body)
        except BotoCoreError:
            return None
        if status == 200 and not answer:
            return True
        return False if status == 412 else None

    def _send(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        request = AWSRequest("PUT", url, headers=headers, data=body)
        # what botocore's signer looks at: over TLS the checksum vouches for the body, otherwise the signature does
        request.context["checksum"] = {"request_algorithm": {"in": "header", "name": CHECKSUM}}
        request.context["has_streaming_input"] = True
        S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
        answer = self._http.send(request.prepare())
        return answer.status_code, answer.content

    def _url(self, bucket: str, key: str) -> str:
        path = quote(key, safe="/~")
        if self._path_style or "." in bucket:  # a certificate for *.s3… does not reach further than one dot
            return f"{self._endpoint_url}/{bucket}/{path}"
        at = urlsplit(self._endpoint_url)
        return f"{at.scheme}://{bucket}.{at.netloc}/{path}"


def _is_ascii(metadata: Mapping[str, str]) -> bool:
    return all(name.isascii() and value.isascii() for name, value in metadata.items())
