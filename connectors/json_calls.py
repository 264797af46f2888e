"""Calls of an AWS service with a JSON protocol, for the few paths where a call's cost in CPU decides.

A boto3 call costs 0.6 to 0.9 ms of Python here, most of it in the service's model: validation, endpoint rules, the user
agent. One call a change at 400 changes a second is a third of a core for that alone. Here the request is written as the
low-level API documents it, while signing and credentials (refreshed ones too) stay botocore's, and connections, TLS and
proxies urllib3's: about 0.3 ms. Errors come back as botocore's, so that everything above treats both ways alike.
"""

from __future__ import annotations

from typing import Any

import orjson
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, HTTPClientError, NoCredentialsError

CONNECT_TRIES = 3
"""Tries of opening a connection. A request that was sent is never sent again here: it may have had its effect."""


class JsonCalls:
    """One service of one region. Safe to call from any thread."""

    def __init__(
        self,
        endpoint_url: str,
        *,
        service: str,
        target: str,
        version: str,
        region: str,
        credentials: Credentials | None,
        connect_timeout_s: float,
        read_timeout_s: float,
        max_connections: int,
    ) -> None:
        """Take where the service is, as boto3 found it, and how it is spoken to.

        Args:
            endpoint_url: the service's address.
            service: its name in signatures, ``dynamodb``.
            target: prefix of ``X-Amz-Target``, ``DynamoDB_20120810``.
            version: of AWS JSON, ``1.0`` or ``1.1``.
            region: the region's name, for signatures.
            credentials: botocore's; they refresh themselves. None where the process has none: every call fails.
            connect_timeout_s: how long a connection may take to open.
            read_timeout_s: how long an answer may take.
            max_connections: kept and used at the same time; a further call waits for one.
        """
        self._url = endpoint_url.rstrip("/") + "/"
        self._target, self._type = target, f"application/x-amz-json-{version}"
        self._service, self._region, self._credentials = service, region, credentials
        self._pool = urllib3.PoolManager(
            maxsize=max_connections,
            block=True,
            timeout=urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s),
            retries=urllib3.Retry(total=None, connect=CONNECT_TRIES, read=0, redirect=0, status=0, other=0),
        )

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """One call; the answer as JSON, binary values as base64 text.

        Raises:
            ClientError: the service refused it; its response has what the service said, ``Item`` among it.
            BotoCoreError: no answer came: whether it had its effect is unknown.
        """
        if self._credentials is None:
            raise NoCredentialsError
        body = orjson.dumps(request)
        headers = {"Content-Type": self._type, "X-Amz-Target": f"{self._target}.{operation}"}
        signed = AWSRequest("POST", self._url, headers=headers, data=body)
        SigV4Auth(self._credentials.get_frozen_credentials(), self._service, self._region).add_auth(signed)
        try:
            answer = self._pool.request("POST", self._url, body=body, headers=dict(signed.headers.items()))
        except urllib3.exceptions.HTTPError as error:
            raise HTTPClientError(error=error) from error
        said: dict[str, Any] = orjson.loads(answer.data) if answer.data else {}
        if answer.status == 200:
            return said
        raise ClientError(_as_botocore(said, answer.status), operation)


def _as_botocore(said: dict[str, Any], status: int) -> Any:
    """An error's answer in the shape that botocore gives it."""
    code = str(said.get("__type", status)).rpartition("#")[2]
    message = said.get("message", said.get("Message", ""))
    rest = {key: value for key, value in said.items() if key not in {"__type", "message", "Message"}}
    return {**rest, "Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
