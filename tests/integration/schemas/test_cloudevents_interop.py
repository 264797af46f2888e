"""The CloudEvents SDK reads our headers, and refuses none of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from schemas import bundled
from schemas.change import Change
from schemas.codec import ChangeCodec
from schemas.headers import headers_of
from schemas.key import key_bytes

pytestmark = pytest.mark.integration


class _Bytes(JSONFormat):
    """The value as it is: the SDK has no Avro."""

    def read_data(self, body: bytes, datacontenttype: str | None) -> Any:
        return body


def test_the_sdk_reads_our_records_as_cloudevents(some_change: Callable[..., Change]) -> None:
    """Kafka binary mode, by the project's own SDK: every attribute valid, ours as extensions, the value untouched."""
    codec = ChangeCodec.for_image(bundled.load("order"))
    change = some_change(codec)
    value = codec.encode(change)
    message = KafkaMessage(headers=dict(headers_of(change)), key=key_bytes(change.key), value=value)
    event = from_binary(message, _Bytes())
    assert event.get_specversion() == "1.0"
    assert event.get_id() == change.source.event_id
    assert event.get_type() == "changefeed.change.c"
    assert event.get_source() == change.source.stream
    assert event.get_subject() == "o-1"
    assert event.get_time() == datetime(2025, 11, 24, 16, 0, tzinfo=UTC)
    assert event.get_datacontenttype() == "application/avro"
    assert event.get_extension("partitionkey") == "o-1"
    assert int(event.get_extension("sequence")) == change.source.sequence
    assert int(event.get_extension("ordinal")) == change.source.ordinal
    assert event.get_data() == value
