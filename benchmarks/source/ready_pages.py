"""Ready-made GetRecords answers over HTTP, as fast as they can be sent: the server must not be the limit.

``python benchmarks/source/ready_pages.py --shards 4 --records 250000`` prints its address, serves until it is killed,
and answers DescribeTable, DescribeStream, GetShardIterator and GetRecords. Each shard has so many records of about 390
bytes, inserts of small orders; they are made of a few bodies with the sequence numbers put in on the way, so that a
million records need no more memory than five thousand.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import orjson

from feed.testing.simulator import ApiError, StreamsServer

ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/orders/stream/2026-01-01T00:00:00.001"
PAGE = 1_000
BODIES = 5
FIRST = 10**22
_MARK = b'"SequenceNumber":"'


def order(name: str) -> dict[str, Any]:
    """A small order, as an item."""
    return {
        "orderId": {"S": name},
        "status": {"S": "created"},
        "revision": {"N": "1"},
        "customerId": {"S": "c-1"},
        "currency": {"S": "EUR"},
        "total": {"N": "12.5"},
        "lines": {"L": []},
        "createdAt": {"N": "1700000000123"},
        "updatedAt": {"N": "1700000000123"},
    }


class ReadyPages:
    """An answer for :class:`feed.testing.simulator.StreamsServer`."""

    def __init__(self, shards: int, records: int) -> None:
        self.records = records
        self.shards = [f"shardId-{number:020d}-{number:08x}" for number in range(shards)]
        # the text between the sequence numbers of a page, for each of a few pages
        self._texts = [[self._split(shard, body) for body in range(BODIES)] for shard in range(shards)]

    def _split(self, shard: int, body: int) -> list[bytes]:
        found = []
        for number in range(PAGE):
            image = order(f"o-{shard}-{body * PAGE + number}")
            data = {"ApproximateCreationDateTime": 1_700_000_000, "Keys": {"orderId": image["orderId"]}}
            data |= {"NewImage": image, "SequenceNumber": "", "SizeBytes": 200, "StreamViewType": "NEW_AND_OLD_IMAGES"}
            record = {"eventID": f"{body * PAGE + number:032x}", "eventName": "INSERT", "eventVersion": "1.1"}
            found.append({**record, "eventSource": "aws:dynamodb", "awsRegion": "eu-west-1", "dynamodb": data})
        return orjson.dumps({"Records": found}).split(_MARK)

    def answer(self, operation: str, request: bytes) -> bytes:
        """The body of the answer."""
        asked = orjson.loads(request)
        match operation:
            case "DescribeTable":
                view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
                return orjson.dumps({"Table": {"LatestStreamArn": ARN, "StreamSpecification": view}})
            case "DescribeStream":
                listed = [{"ShardId": s, "SequenceNumberRange": {"StartingSequenceNumber": "1"}} for s in self.shards]
                return orjson.dumps({"StreamDescription": {"StreamArn": ARN, "Shards": listed}})
            case "GetShardIterator":
                read = int(asked["SequenceNumber"]) - FIRST + 1 if "SequenceNumber" in asked else 0
                return orjson.dumps({"ShardIterator": f"{self.shards.index(asked['ShardId'])}/{read}"})
            case "GetRecords":
                shard, _, read = asked["ShardIterator"].partition("/")
                return self._page(int(shard), int(read))
        raise ApiError("UnknownOperationException", operation)

    def _page(self, shard: int, read: int) -> bytes:
        """From any number on, up to a page's end: a reader may come back in the middle of one."""
        until = min(self.records, (read // PAGE + 1) * PAGE)
        if read >= until:
            return orjson.dumps({"Records": [], "NextShardIterator": f"{shard}/{read}"})
        texts = self._texts[shard][read // PAGE % BODIES]
        if until - read < PAGE:
            return self._part(texts, shard, read, until)
        parts = [texts[0]]
        for number, text in enumerate(texts[1:], FIRST + read):
            parts.append(b"%b%d%b" % (_MARK, number, text))
        return b"".join(parts)[:-1] + b',"NextShardIterator":"%d/%d"}' % (shard, until)

    def _part(self, texts: list[bytes], shard: int, read: int, until: int) -> bytes:
        whole = orjson.loads(_MARK.join(texts))["Records"]
        found = whole[read % PAGE : read % PAGE + until - read]
        for number, record in enumerate(found, FIRST + read):
            record["dynamodb"]["SequenceNumber"] = str(number)
        return orjson.dumps({"Records": found, "NextShardIterator": f"{shard}/{until}"})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--shards", type=int, default=4)
    options.add_argument("--records", type=int, default=250_000, help="of each shard")
    told = options.parse_args()
    with StreamsServer(ReadyPages(told.shards, told.records).answer) as server:
        print(server.endpoint, flush=True)
        while True:
            time.sleep(3_600)


if __name__ == "__main__":
    main()
