"""``python -m feed.local.data_api``: the server as a process."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

import boto3
from botocore.config import Config

from feed.local.data_api.engine import Engine
from feed.local.data_api.http import serve


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m feed.local.data_api",
        description="A Redshift Data API over DuckDB. S3 credentials come as boto3 finds them (environment, profile).",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one, printed")
    parser.add_argument("--database", required=True, help="file of the database, made when absent")
    parser.add_argument("--s3-endpoint", default=None, help="URL of the S3 server; left out: AWS")
    parser.add_argument("--region", default="eu-west-1")
    given = parser.parse_args()
    s3 = boto3.client(
        "s3",
        endpoint_url=given.s3_endpoint,
        region_name=given.region,
        config=Config(
            connect_timeout=5,
            read_timeout=20,
            retries={"total_max_attempts": 5, "mode": "standard"},
            s3={"addressing_style": "path"} if given.s3_endpoint else None,
        ),
    )
    engine = Engine(given.database, s3)
    server = serve(engine, given.host, given.port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    sys.stdout.write(f"Redshift Data API on http://{given.host}:{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
    server.server_close()
    engine.close()


if __name__ == "__main__":
    main()
