"""A small real registry over HTTP: Confluent's interface as far as it is used, with faults on demand."""

from __future__ import annotations

import base64
import datetime as dt
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from schemas import bundled
from schemas.change import Change, Op, Source
from schemas.codec import ChangeCodec
from schemas.version import Version


class RegistryServer:
    """Serves one registry on a free port until closed."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.schemas: dict[int, str] = {}
        self.subjects: dict[str, list[int]] = {}
        self.calls: list[str] = []
        self.failures: list[int] = []
        """HTTP statuses for the next calls, before any real answer."""
        self.authorization: str | None = None
        """What the Authorization header must be; None: anything."""
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def basic(self, user: str, password: str) -> None:
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        with self._lock:
            parts = path.partition("?")[0].strip("/").split("/")
            match method, parts:
                case "GET", ["schemas", "ids", number]:
                    text = self.schemas.get(int(number))
                    return (200, {"schema": text}) if text else (404, {"error_code": 40403})
                case "GET", ["subjects"]:
                    return 200, list(self.subjects)
                case "GET", ["subjects", subject, "versions"]:
                    ids = self.subjects.get(subject)
                    return (200, list(range(1, len(ids) + 1))) if ids else (404, {"error_code": 40401})
                case "GET", ["subjects", subject, "versions", version]:
                    ids = self.subjects[subject]
                    return 200, self._version(subject, len(ids) if version == "latest" else int(version))
                case "POST", ["subjects", subject, "versions"]:
                    return 200, {"id": self._register(subject, body["schema"])}
                case "POST", ["subjects", subject]:
                    return self._lookup(subject, body["schema"])
        return 404, {"error_code": 404}

    def _register(self, subject: str, text: str) -> int:
        known = [number for number, schema in self.schemas.items() if json.loads(schema) == json.loads(text)]
        number = known[0] if known else len(self.schemas) + 100_001
        self.schemas[number] = text
        ids = self.subjects.setdefault(subject, [])
        if number not in ids:
            ids.append(number)
        return number

    def _lookup(self, subject: str, text: str) -> tuple[int, Any]:
        for version, number in enumerate(self.subjects.get(subject, ()), start=1):
            if json.loads(self.schemas[number]) == json.loads(text):
                return 200, self._version(subject, version)
        return 404, {"error_code": 40403 if subject in self.subjects else 40401}

    def _version(self, subject: str, version: int) -> dict[str, Any]:
        number = self.subjects[subject][version - 1]
        return {"subject": subject, "version": version, "id": number, "schema": self.schemas[number]}


def _handler(server: RegistryServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Tests are quiet."""

        def do_GET(self) -> None:  # the name http.server calls
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.calls.append(f"{self.command} {self.path}")
            if server.failures:
                status, document = server.failures.pop(0), {"error_code": 50001, "message": "on demand"}
            elif server.authorization is not None and self.headers.get("Authorization") != server.authorization:
                status, document = 401, {"error_code": 401, "message": "who are you?"}
            else:
                status, document = server.answer(self.command, self.path, json.loads(raw or b"{}"))
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_POST(self) -> None:  # the name http.server calls
            self.do_GET()

    return Handler


@pytest.fixture
def registry_server() -> Iterator[RegistryServer]:
    server = RegistryServer()
    yield server
    server.close()


@pytest.fixture
def tls_registry(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[RegistryServer, Path]]:
    """A registry behind TLS, and the file with the authority to trust (its key beside it); "mutual" asks for ours."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = tmp_path / "registry.pem", tmp_path / "registry.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    if getattr(request, "param", None) == "mutual":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate_file)
    server = RegistryServer(context)
    yield server, certificate_file
    server.close()


@pytest.fixture
def some_change() -> Callable[..., Change]:
    """Makes a change of an order that a given codec can write."""

    def make(codec: ChangeCodec | None = None) -> Change:
        codec = codec or ChangeCodec.for_image(bundled.load("order"))
        image = codec.image_from_dynamodb(
            {
                "orderId": {"S": "o-1"},
                "status": {"S": "paid"},
                "revision": {"N": "2"},
                "customerId": {"S": "c-77"},
                "currency": {"S": "EUR"},
                "total": {"N": "39.9"},
                "lines": {"L": [{"M": {"sku": {"S": "s"}, "quantity": {"N": "2"}, "price": {"N": "19.95"}}}]},
                "createdAt": {"N": "1764000000123"},
                "updatedAt": {"N": "1764000000456"},
                "photo": {"B": "AP8="},
            }
        )
        source = Source("orders", "eu-west-1", "arn:stream", "shard-1", 10**39, 7, f"shard-1:{10**39}")
        key = {"orderId": {"S": "o-1"}}
        return Change(Op.CREATE, key, None, image, source, Version(1, 10**39), 1764000000000, 1764000000999)

    return make
