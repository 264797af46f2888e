"""Large objects in parts, with the same rule as small ones: created once, never overwritten."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES: Final = 8 * 1024 * 1024
"""Size of a part, and the size from which an object is written in parts: what a failed try has to send again. (S3's
parts have at least 5 MiB, and there are at most 10,000 of them.)"""

log = logging.getLogger(__name__)


def parts_of(body: bytes) -> Iterator[memoryview]:
    """The body in parts, without a copy."""
    view = memoryview(body)
    for start in range(0, len(body), PART_BYTES):
        yield view[start : start + PART_BYTES]


def put_in_parts(client: S3Client, create: Mapping[str, Any], body: bytes) -> None:
    """Create an object from parts, unless its name is taken by then (``If-None-Match`` of the completion).

    A try that fails is aborted; what a killed process leaves open, the bucket's lifecycle removes after a day
    (``AbortIncompleteMultipartUpload``). A completion that lost a race (409) has to begin anew, says S3.

    Args:
        client: a boto3 client.
        create: the arguments of ``create_multipart_upload``: bucket, key, metadata, content type, lock.
        body: the content.

    Raises:
        ClientError: as S3 answered: 412 when the name is taken, 409 when another writer is in the act.
        BotoCoreError: there was no answer.
    """
    where = {"Bucket": create["Bucket"], "Key": create["Key"]}
    upload_id = client.create_multipart_upload(**create)["UploadId"]
    try:
        parts: list[CompletedPartTypeDef] = []
        for number, part in enumerate(parts_of(body), start=1):
            sent = client.upload_part(**where, UploadId=upload_id, PartNumber=number, Body=bytes(part))
            parts.append({"ETag": sent["ETag"], "PartNumber": number})
        client.complete_multipart_upload(**where, UploadId=upload_id, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
    except (ClientError, BotoCoreError):
        try:
            client.abort_multipart_upload(**where, UploadId=upload_id)
        except (ClientError, BotoCoreError) as error:  # completed after all, or away: the lifecycle removes it
            log.info("an upload in parts stays open key=%s error=%s", create["Key"], error)
        raise
