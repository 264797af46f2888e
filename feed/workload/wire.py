"""A DynamoDB call at a tenth of the usual price: one kept connection, a signature by hand, JSON in and out.

A boto3 call costs about half a millisecond of Python, mostly in building and parsing; the workload makes 400 a second
beside everything else on two cores. The requests are the documented low-level API (``DynamoDB_20120810``, Signature
Version 4), so they work against AWS as well; only the workload may use this.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from schemas.errors import RetryableError

API: Final = "DynamoDB_20120810"

_TYPE: Final = "application/x-amz-json-1.0"
_CHUNK_BYTES: Final = 64 * 1024
_HEAD_BYTES_MAX: Final = 64 * 1024
_AWAY: Final = "the outcome is read back, then the write is tried again"


class Signer:
    """Signature Version 4 for one region's DynamoDB; the day's key is derived once a day."""

    def __init__(self, host: str, region: str, access_key_id: str, secret: str, session_token: str = "") -> None:
        self._host, self._region, self._access, self._secret, self._token = (
            host,
            region,
            access_key_id,
            secret,
            session_token,
        )
        self._day = ""
        self._key = b""

    def headers(self, target: str, body: bytes, now_s: float) -> str:
        """The headers that prove the request, each line ended."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
        day = stamp[:8]
        scope = f"{day}/{self._region}/dynamodb/aws4_request"
        names = "content-type;host;x-amz-date"
        signed = f"content-type:{_TYPE}\nhost:{self._host}\nx-amz-date:{stamp}\n"
        extra = ""
        if self._token:
            names += ";x-amz-security-token"
            signed += f"x-amz-security-token:{self._token}\n"
            extra = f"x-amz-security-token: {self._token}\r\n"
        names += ";x-amz-target"
        signed += f"x-amz-target:{API}.{target}\n"
        request = f"POST\n/\n\n{signed}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(self._key_of(day), text.encode(), "sha256").hex()
        return (
            f"Host: {self._host}\r\nContent-Type: {_TYPE}\r\nX-Amz-Date: {stamp}\r\n"
            f"X-Amz-Target: {API}.{target}\r\n{extra}Authorization: AWS4-HMAC-SHA256 "
            f"Credential={self._access}/{scope}, SignedHeaders={names}, Signature={signature}\r\n"
        )

    def _key_of(self, day: str) -> bytes:
        if day != self._day:
            key = f"AWS4{self._secret}".encode()
            for part in (day, self._region, "dynamodb", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._key = day, key
        return self._key


class TableConnection:
    """One connection to DynamoDB, opened when needed and kept. For one thread."""

    def __init__(
        self, endpoint: str, signer: Callable[[str], Signer], *, timeout_ms: int, now_s: Callable[[], float] = time.time
    ) -> None:
        parts = urlsplit(endpoint)
        self._host = parts.hostname or "127.0.0.1"
        self._tls = parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        self._signer = signer(f"{self._host}:{parts.port}" if parts.port else self._host)
        self._timeout_s = timeout_ms / 1_000
        self._now_s = now_s
        self._socket: socket.socket | None = None

    def call(self, target: str, body: bytes) -> tuple[int, bytes]:
        """One request and its answer, whatever its status.

        Raises:
            RetryableError: no whole answer came within the bound: the outcome is unknown. The connection is dropped.
        """
        head = (
            f"POST / HTTP/1.1\r\n{self._signer.headers(target, body, self._now_s())}Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            connection = self._socket or self._open()
            connection.sendall(head.encode() + body)
            return self._answer(connection)
        except (OSError, ValueError) as error:
            self.close()
            raise RetryableError(f"no answer to {target}: {error}", hint=_AWAY) from error

    def close(self) -> None:
        """Drop the connection; the next call opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        connection = socket.create_connection((self._host, self._port), timeout=self._timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls:
            connection = ssl.create_default_context().wrap_socket(connection, server_hostname=self._host)
        self._socket = connection
        return connection

    def _answer(self, connection: socket.socket) -> tuple[int, bytes]:
        data = connection.recv(_CHUNK_BYTES)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more(connection, data)
        head, body = data[:end].lower(), data[end + 4 :]
        start = head.find(b"content-length:")
        if start < 0:
            raise ValueError("an answer without Content-Length")
        length = int(head[start + 15 :].split(b"\r\n", 1)[0])
        while len(body) < length:
            body += self._more(connection, b"")
        if b"connection: close" in head:
            self.close()
        return int(head[9:12]), body

    @staticmethod
    def _more(connection: socket.socket, head: bytes) -> bytes:
        chunk = connection.recv(_CHUNK_BYTES)
        if not chunk or len(head) > _HEAD_BYTES_MAX:
            raise ValueError("the connection ended within an answer")
        return chunk
