"""COPY from a manifest of Parquet files, by position, with Redshift's refusals."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError
from sqlglot import exp

from feed.local.data_api.statements import Refused

if TYPE_CHECKING:
    import duckdb
    from mypy_boto3_s3 import S3Client

_ALLOWED: Final = frozenset({"MANIFEST", "FORMAT PARQUET", "STATUPDATE ON", "STATUPDATE OFF", "FILLRECORD"})

_ARROW_OF: Final = {
    "BIGINT": ("int64",),
    "BOOLEAN": ("bool",),
    "DATE": ("date32[day]",),
    "DOUBLE": ("double",),
    "FLOAT": ("float",),
    "INTEGER": ("int32",),
    "SMALLINT": ("int16",),
    "TIMESTAMP": ("timestamp[us]", "timestamp[ms]"),
    "VARCHAR": ("string", "large_string"),
}
"""Which Parquet columns load into which types: Redshift converts nothing when it reads a columnar file."""


@dataclass(frozen=True, slots=True)
class _Entry:
    url: str
    mandatory: bool
    size: int


def copy(connection: duckdb.DuckDBPyConnection, s3: S3Client, statement: exp.Copy) -> int:
    """Execute ``COPY table FROM 's3://…manifest' IAM_ROLE '…' FORMAT AS PARQUET MANIFEST``; gives the rows loaded.

    Raises:
        Refused: as Redshift refuses it.
    """
    _check_parameters(statement)
    table = statement.this.sql("duckdb")
    columns = [(row[0], row[1]) for row in connection.execute(f"DESCRIBE {table}").fetchall()]
    loaded = 0
    for entry in _entries(s3, statement.args["files"][0].name):
        body = _read(s3, entry)
        if body is None:
            continue
        rows = pq.read_table(io.BytesIO(body), use_threads=False, pre_buffer=False)
        _check_columns(columns, rows, entry.url)
        connection.register("copied_file", rows)
        try:
            connection.execute(f"INSERT INTO {table} SELECT * FROM copied_file")  # noqa: S608 - both names are ours
        finally:
            connection.unregister("copied_file")
        loaded += rows.num_rows
    return loaded


def _check_parameters(statement: exp.Copy) -> None:
    given = [parameter.sql().upper() for parameter in statement.args.get("params") or []]
    unknown = [parameter for parameter in given if parameter not in _ALLOWED]
    if unknown:
        raise Refused(f"ERROR: COPY parameter {', '.join(unknown)} is not supported for PARQUET")
    if "MANIFEST" not in given or "FORMAT PARQUET" not in given:
        raise Refused("not emulated: COPY without FORMAT AS PARQUET MANIFEST")
    credentials = statement.args.get("credentials")
    if credentials is None or not any(credentials.args.values()):
        raise Refused("ERROR: COPY needs IAM_ROLE or credentials")


def _entries(s3: S3Client, url: str) -> list[_Entry]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    try:
        manifest = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        raise Refused(f"ERROR: Manifest file is not found: {url} ({error})") from error
    entries: list[dict[str, Any]] = manifest["entries"]
    if not entries:
        raise Refused("ERROR: no files found in the manifest")
    if any("content_length" not in entry.get("meta", {}) for entry in entries):
        raise Refused("ERROR: the manifest of a columnar file needs meta.content_length")
    return [_Entry(entry["url"], entry.get("mandatory", False), entry["meta"]["content_length"]) for entry in entries]


def _read(s3: S3Client, entry: _Entry) -> bytes | None:
    bucket, _, key = entry.url.removeprefix("s3://").partition("/")
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise Refused(f"ERROR: S3ServiceException: {error}") from error
        if entry.mandatory:
            raise Refused(f"ERROR: Mandatory url is not present in manifest file: {entry.url}") from error
        return None
    if len(body) != entry.size:
        raise Refused(f"ERROR: {entry.url} has {len(body)} bytes, its manifest says {entry.size}")
    return body


def _check_columns(columns: list[tuple[str, str]], rows: pa.Table, url: str) -> None:
    if len(columns) != rows.num_columns:
        raise Refused(
            "ERROR: Unmatched number of columns between table and file. "
            f"Table columns: {len(columns)}, Data columns: {rows.num_columns}, File name: {url}"
        )
    for (name, declared), field in zip(columns, rows.schema, strict=True):
        if not _fits(declared, str(field.type)):
            raise Refused(
                f"ERROR: Spectrum Scan Error. File '{url}' has an incompatible Parquet schema for column "
                f"'{field.name}'. Column type: {declared} ({name}), Parquet schema: {field.type}"
            )


def _fits(declared: str, arrow: str) -> bool:
    if declared.startswith("DECIMAL"):
        return arrow == declared.replace("DECIMAL(", "decimal128(").replace(",", ", ")
    return arrow in _ARROW_OF.get(declared, ())
