"""Which errors of AWS are tried again."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, ParamValidationError

from connectors.aws import aws_error_of
from schemas.errors import FatalError, RetryableError


def test_what_botocore_refuses_to_send_is_not_tried_again() -> None:
    """A name of the wrong form stays wrong; a service that does not answer may answer later."""
    client = boto3.client("redshift-data", "eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    with pytest.raises(ParamValidationError) as refused:
        client.execute_statement(Sql="SELECT 1", WorkgroupName="w")
    assert isinstance(aws_error_of(refused.value, "asking"), FatalError)
    away = EndpointConnectionError(endpoint_url="https://example.com")
    assert isinstance(aws_error_of(away, "asking"), RetryableError)
