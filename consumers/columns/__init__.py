"""Raw records as columns: the one file format of the audit log and the archive.

Promises: key, value, headers, offset and timestamp come back byte for byte and in order; what a search needs (event id,
shard, ordinal, op) stands in columns of its own, so that DuckDB, Athena and a verifier read it without opening a value.
"""

from consumers.columns.builder import RecordColumns, rows_after
from consumers.columns.declared import (
    SETTLING_MS,
    Declared,
    OrdinalReport,
    Refused,
    declared_in,
    judge_lineage,
    judge_ordinals,
)
from consumers.columns.files import (
    FORMAT,
    FileFacts,
    agree,
    read_facts,
    read_file,
    read_records,
    read_table,
    write_file,
)
from consumers.columns.ordinals import OrdinalLedger
from consumers.columns.stored import SCHEMA, StoredRecord, records_of
from schemas.partitioner import partition_of_key

__all__ = [
    "FORMAT",
    "SCHEMA",
    "SETTLING_MS",
    "Declared",
    "FileFacts",
    "OrdinalLedger",
    "OrdinalReport",
    "RecordColumns",
    "Refused",
    "StoredRecord",
    "agree",
    "declared_in",
    "judge_lineage",
    "judge_ordinals",
    "partition_of_key",
    "read_facts",
    "read_file",
    "read_records",
    "read_table",
    "records_of",
    "rows_after",
    "write_file",
]
