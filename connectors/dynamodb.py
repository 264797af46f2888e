"""DynamoDB as a store of effects: one conditional write at a time, and what its refusal means."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import aws_error_code, aws_error_of
from connectors.json_calls import JsonCalls
from schemas.errors import ConfigError, FeedError, PoisonError, RetryableError

Item = Mapping[str, Any]
"""An item, or a part of one, as DynamoDB JSON."""

_log = logging.getLogger(__name__)

_REFUSED = "ConditionalCheckFailedException"
_NEVER = frozenset({"ValidationException", "ItemCollectionSizeLimitExceededException"})


@dataclass(frozen=True, slots=True)
class Refused:
    """The condition did not hold; nothing was written."""

    item: Item | None
    """The item that is there, when it was asked for: no second read is needed to find out why."""


@dataclass(frozen=True, slots=True)
class Update:
    """A conditional update: expressions with the names and values that they use."""

    set_expression: str
    condition: str
    names: Mapping[str, str]
    values: Item


class EffectTable:
    """A table that a sink writes to. Safe to call from several threads."""

    def __init__(self, client: Any, name: str, *, calls: JsonCalls | None = None) -> None:
        """Take boto3's client and, for a table that is used often, the cheaper way for its writes and reads."""
        self._client = client
        self._calls = calls
        self.name = name

    def update_if(self, key: Item, update: Update, *, return_old: bool = False) -> Refused | None:
        """Write when the condition holds, in one request.

        Returns:
            None when it was written, else why not.

        Raises:
            RetryableError: throttled, timed out, away, or access refused for now.
            PoisonError: DynamoDB will never take this item (too large, not valid).
            FatalError: the table is not there or not as expected.
        """
        request: dict[str, Any] = {
            "TableName": self.name,
            "Key": key,
            "UpdateExpression": update.set_expression,
            "ConditionExpression": update.condition,
            "ExpressionAttributeNames": update.names,
            "ExpressionAttributeValues": update.values,
        }
        if return_old:
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        try:
            if self._calls is not None:
                self._calls.call("UpdateItem", request)
            else:
                self._client.update_item(**request)
        except ClientError as error:
            if aws_error_code(error) == _REFUSED:
                return Refused(cast("dict[str, Any]", error.response).get("Item"))
            raise self._error_of(error) from error
        except BotoCoreError as error:
            raise self._error_of(error) from error
        return None

    def get(self, key: Item, *, consistent: bool = False) -> Item | None:
        """The item, None when there is none. Errors as in :meth:`update_if`."""
        request = {"TableName": self.name, "Key": key, "ConsistentRead": consistent}
        try:
            answer = self._client.get_item(**request) if self._calls is None else self._calls.call("GetItem", request)
        except (ClientError, BotoCoreError) as error:
            raise self._error_of(error) from error
        item: Item | None = answer.get("Item")
        return item

    def scan_page(
        self,
        condition: str,
        names: Mapping[str, str],
        values: Item,
        *,
        projection: str,
        after: Item | None,
        limit: int,
    ) -> tuple[list[Item], Item | None]:
        """The items that meet a condition, among the next ``limit`` behind ``after``, and where the next page begins.

        Consistent: what this process has written is seen. Errors as in :meth:`update_if`.
        """
        request: dict[str, Any] = {
            "TableName": self.name,
            "FilterExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ProjectionExpression": projection,
            "ConsistentRead": True,
            "Limit": limit,
        }
        if after is not None:
            request["ExclusiveStartKey"] = after
        try:
            answer = self._client.scan(**request)
        except (ClientError, BotoCoreError) as error:
            raise aws_error_of(error, f"scanning table {self.name}") from error
        return answer["Items"], answer.get("LastEvaluatedKey")

    def check(self, key_attribute: str) -> None:
        """One call that shows the table is there and has the key that the sink writes.

        No answer is no fault of the configuration: the first write will be tried until there is one.

        Raises:
            ConfigError: it is not there, or its key is another one.
        """
        try:
            described = self._client.describe_table(TableName=self.name)["Table"]
        except ClientError as error:
            if aws_error_code(error) == "ResourceNotFoundException":
                raise ConfigError(
                    f"table {self.name} does not exist", hint="create it with the key that docs/sinks.md names"
                ) from error
            self._go_on(error)
            return
        except BotoCoreError as error:
            self._go_on(error)
            return
        keys = [part["AttributeName"] for part in described["KeySchema"]]
        if keys != [key_attribute]:
            raise ConfigError(
                f"table {self.name} has the key {', '.join(keys)}; this sink needs {key_attribute}",
                hint="name another table, or create this one anew",
            )

    def _go_on(self, error: ClientError | BotoCoreError) -> None:
        judged = self._error_of(error)
        if not isinstance(judged, RetryableError):
            raise judged from error
        _log.warning("table not checked table=%s error=%s", self.name, error)

    def _error_of(self, error: ClientError | BotoCoreError) -> FeedError:
        if aws_error_code(error) in _NEVER:
            return PoisonError(
                f"table {self.name} does not take the item: {error}",
                hint="the item is too large or has a value that DynamoDB refuses; it is kept whole in the dead letters",
            )
        return aws_error_of(error, f"writing to table {self.name}")


def create_effect_table(client: Any, name: str, key_attribute: str) -> None:
    """Create a table for a sink, paid by request, where there is none of that name (local regions, tests)."""
    try:
        client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key_attribute, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key_attribute, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    except ClientError as error:
        if aws_error_code(error) != "ResourceInUseException":
            raise aws_error_of(error, f"creating table {name}") from error
    except BotoCoreError as error:
        raise aws_error_of(error, f"creating table {name}") from error
