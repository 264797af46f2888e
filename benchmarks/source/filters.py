"""What a filter at the source costs: CPU from parsed pages to records that are ready to publish, in memory.

``python benchmarks/source/filters.py [--records 20000]``; the best of seven passes each.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.source.ready_pages import FIRST, PAGE, order
from connectors.dynamodb_streams import Page
from producers.stream import Condition, FilterSettings
from producers.stream.batch import PageContext, compose
from producers.stream.filter import filter_of
from producers.stream.translate import FeedSource, translator
from schemas import bundled
from schemas.codec import ChangeCodec
from schemas.position import Position

PASSES = 7
CASES = {
    "no filter": FilterSettings(),
    "an attribute omitted": FilterSettings(omit=("secret",)),
    "a condition that all meet": FilterSettings(where=Condition(attribute="status", one_of=("created", "paid"))),
    "a condition that none meets": FilterSettings(where=Condition(attribute="status", equals="lost")),
}


def page_of(first: int) -> Page:
    """Inserts of small orders, parsed."""
    found: list[dict[str, Any]] = []
    for number in range(first, first + PAGE):
        image = order(f"o-{number}")
        data: dict[str, Any] = {"ApproximateCreationDateTime": 1_700_000_000, "Keys": {"orderId": image["orderId"]}}
        data |= {"NewImage": image, "SequenceNumber": str(FIRST + number)}
        found.append({"eventID": str(number), "eventName": "INSERT", "dynamodb": data})
    return Page(found, "more", 390 * PAGE)


def micros_a_record(settings: FilterSettings, pages: list[Page], records: int) -> float:
    """CPU of the best pass."""
    codec = ChangeCodec.for_image(bundled.load("order"))
    source = FeedSource("orders", "orders", "eu-west-1", omit=frozenset(settings.omit))
    translate = translator(source, codec, stream="arn", shard="s", epoch=1)
    context = PageContext("orders", 0, 1, 1, codec, translate, 10**6, filter_of(settings, region_attribute=None))
    passes = []
    for _ in range(PASSES):
        begun, position = time.process_time(), Position("s", "arn")
        for page in pages:
            position = compose(page, position, context).position
        passes.append(time.process_time() - begun)
    return min(passes) / records * 1e6


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=20_000)
    records = parser.parse_args().records
    pages = [page_of(first) for first in range(0, records, PAGE)]
    gc.freeze()
    gc.disable()
    for name, settings in CASES.items():
        print(f"{name:30} {micros_a_record(settings, pages, records):6.2f} µs a record")


if __name__ == "__main__":
    main()
