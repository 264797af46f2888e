"""The ledger's file, the digest of items, and the signed request."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from feed.workload import Entry, Ledger, LedgerReader, Outcome, image_digest
from feed.workload.wire import Signer
from schemas.change import Op
from schemas.errors import ConfigError

ENTRIES = [
    Entry("o-1", 1, Op.CREATE, "created", 2**64 - 1, 5, 7, burst=2),
    Entry("o-1", 1, None, "created", 3, 8, 9, Outcome.READ_BACK),
    Entry("o-1", 2, Op.DELETE, "created", 0, 10, 11),
]


def written(path: Path) -> Ledger:
    ledger = Ledger(path, {"table": "orders"})
    for entry in ENTRIES:
        ledger.append(entry)
    return ledger


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    """All fields of all entries, the run and how it ended come back."""
    written(tmp_path / "ledger").close("done")
    reader, entries = LedgerReader.whole(tmp_path / "ledger")
    assert entries == ENTRIES
    assert (reader.run["table"], reader.ended) == ("orders", "done")


def test_a_ledger_whose_writer_died_has_no_end(tmp_path: Path) -> None:
    """What was synced is read, a half-written line is not, and the missing end is seen."""
    path = tmp_path / "ledger"
    ledger = written(path)
    ledger.sync()
    with path.open("ab") as file:
        file.write(b'["o-1",3,"u"')
    reader, entries = LedgerReader.whole(path)
    assert entries == ENTRIES
    assert reader.ended is None


def test_a_ledger_with_a_line_removed_is_refused(tmp_path: Path) -> None:
    """The last line counts the entries, so that a shortened ledger proves nothing."""
    path = tmp_path / "ledger"
    written(path).close("done")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(ConfigError, match="2 entries where its last line says 3"):
        LedgerReader.whole(path)


def test_a_ledger_is_never_overwritten(tmp_path: Path) -> None:
    """Opening an existing file fails."""
    written(tmp_path / "ledger").close("done")
    with pytest.raises(FileExistsError):
        Ledger(tmp_path / "ledger", {})


@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
@settings(deadline=None)
def test_the_spelling_of_a_number_does_not_change_a_digest(cents: int, zeros: int) -> None:
    """12.5, 12.50 and 12.500 are one number, another number is another."""
    text = f"{cents}.25" + "0" * zeros
    assert image_digest({"a": {"N": text}}) == image_digest({"a": {"N": f"{cents}.25"}})
    assert image_digest({"a": {"N": text}}) != image_digest({"a": {"N": f"{cents}.26"}})


@given(st.dictionaries(st.text(max_size=5), st.integers(0, 99), min_size=1, max_size=6))
@settings(deadline=None)
def test_the_order_of_attributes_does_not_change_a_digest(values: dict[str, int]) -> None:
    """Only names and values count, at every depth."""
    item = {name: {"M": {"x": {"N": str(value)}, "y": {"S": "z"}}} for name, value in values.items()}
    turned = {name: {"M": dict(reversed(inner["M"].items()))} for name, inner in reversed(item.items())}
    assert image_digest(item) == image_digest(turned)


def test_a_request_is_signed_as_botocore_signs_it() -> None:
    """The hand-made signature is, letter by letter, the one that botocore makes for the same request."""
    body = b'{"TableName":"orders"}'
    now = datetime.now(UTC)
    headers = {
        "Host": "dynamodb.eu-west-1.amazonaws.com",
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "DynamoDB_20120810.PutItem",
    }
    request = AWSRequest("POST", "https://dynamodb.eu-west-1.amazonaws.com/", headers=headers, data=body)
    SigV4Auth(Credentials("AKID", "secret", "token"), "dynamodb", "eu-west-1").add_auth(request)
    stamp = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs((stamp - now).total_seconds()) < 60
    signer = Signer("dynamodb.eu-west-1.amazonaws.com", "eu-west-1", "AKID", "secret", "token")
    ours = signer.headers("PutItem", body, stamp.timestamp())
    assert f"Authorization: {request.headers['Authorization']}\r\n" in ours
