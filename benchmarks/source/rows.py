"""What a row of a first load costs: ``python -m benchmarks.source.rows`` prints CPU ms per 1,000 rows, best of 15.

Composing and encoding only, from a page of Scan as boto3 gives it; Kafka and DynamoDB are not in it.
"""

from __future__ import annotations

import time
from typing import Any

from producers.snapshot.rows import RowContext, compose_rows
from producers.snapshot.scan import ScanPage
from producers.stream import FeedSource
from schemas import bundled
from schemas.codec import ChangeCodec
from schemas.snapshot import Segment

ROWS, TRIES = 1_000, 15


def item(number: int) -> dict[str, Any]:
    """An order of about 390 bytes."""
    line = {"M": {"sku": {"S": "sku-000017"}, "quantity": {"N": "2"}, "price": {"N": "6.25"}}}
    return {
        "orderId": {"S": f"o-{number:06d}"},
        "status": {"S": "created"},
        "revision": {"N": "1"},
        "customerId": {"S": "c-000123"},
        "currency": {"S": "EUR"},
        "total": {"N": "12.5"},
        "lines": {"L": [line]},
        "createdAt": {"N": "1764000000000"},
        "updatedAt": {"N": "1764000000000"},
    }


def main() -> None:
    """Measure and print."""
    codec = ChangeCodec.for_image(bundled.load("order"))
    context = RowContext(FeedSource("orders", "orders", "eu-west-1"), codec, ("orderId",), 10**6)
    page = ScanPage(tuple(item(number) for number in range(ROWS)), {"orderId": {"S": "x"}}, 10.0)
    best = min(_once(page, context) for _ in range(TRIES))
    print(f"{best * 1_000:.1f} ms CPU per 1,000 rows")


def _once(page: ScanPage, context: RowContext) -> float:
    begun = time.process_time()
    compose_rows(page, Segment(0, 2), context, at_ms=1, now_ms=2)
    return time.process_time() - begun


if __name__ == "__main__":
    main()
