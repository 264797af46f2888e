"""The S3 server: SeaweedFS in one process, with Object Lock, conditional writes and checked signatures."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from feed.local.part import ProcessPart, Site, with_environment
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACCESS_KEY_ID = "local"
SECRET_ACCESS_KEY = "local-secret"  # noqa: S105 - of a server on the loopback address, for one run
MEMORY_LIMIT = "300MiB"
PROBE_BUCKET = "ready-probe"
# each given, each different: two instances whose ports follow from one another collide
SERVICES = ("s3", "master", "volume", "filer", "admin")


class ObjectStore(ProcessPart):
    """An S3 endpoint; ``access_key_id`` and ``secret_access_key`` are its only account."""

    access_key_id = ACCESS_KEY_ID
    secret_access_key = SECRET_ACCESS_KEY

    def __init__(self, site: Site, *, name: str = "s3") -> None:
        super().__init__(name, site)
        self._ports = {
            key: site.ports.port(f"{name} {key}")
            for service in SERVICES
            for key in (f"{service}.port", f"{service}.port.grpc")
        }
        self._program = Path(sys.executable).with_name("weed")

    @property
    def endpoint(self) -> str:
        """URL for S3 clients (path-style addressing)."""
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """``endpoint``."""
        return {"endpoint": self.endpoint}

    @property
    def stop_within_s(self) -> float:
        """Its own shutdown can wait for 30 s; what it has acknowledged survives SIGKILL, so it gets 3."""
        return 3.0

    def command(self) -> Sequence[str]:
        """Everything explicit, nothing that it would start on its own."""
        if not self._program.exists():
            raise ConfigError(
                f"The S3 server {self._program} is not installed.",
                hint='Install the extra: pip install "changefeed[local]".',
            )
        data = self.site.state_of(self.name) / "data"
        data.mkdir(exist_ok=True)
        options = {
            "dir": data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            **self._ports,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.allowDeleteBucketNotEmpty": "false",
            "s3.autoCreateBucket": "false",
            "admin.ui": "false",
            "webdav": "false",
            "volume.preStopSeconds": 0,
            "master.electionTimeout": "1s",
            "master.heartbeatInterval": "200ms",
            "master.telemetry": "false",
        }
        environment = {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",
            "GOMEMLIMIT": MEMORY_LIMIT,
        }
        arguments = [f"-{key}={value}" for key, value in options.items()]
        # its log files would otherwise stay in the system's folder for temporary files
        logs = f"-logdir={self.site.state_of(self.name)}"
        return with_environment(environment, [str(self._program), logs, "mini", *arguments])

    def client(self) -> S3Client:
        """A client that gives up quickly, for probes."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="eu-west-1",
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            config=Config(
                retries={"max_attempts": 0}, connect_timeout=1, read_timeout=5, s3={"addressing_style": "path"}
            ),
        )

    def is_ready(self) -> bool:
        """An object can be written and read back: it listens long before that."""
        s3 = self.client()
        try:
            if PROBE_BUCKET not in [bucket.get("Name") for bucket in s3.list_buckets()["Buckets"]]:
                s3.create_bucket(Bucket=PROBE_BUCKET)
            s3.put_object(Bucket=PROBE_BUCKET, Key="probe", Body=b"x")
            return s3.get_object(Bucket=PROBE_BUCKET, Key="probe")["Body"].read() == b"x"
        except (BotoCoreError, ClientError):
            return False
        finally:
            s3.close()
