"""What is compared: where MirrorMaker runs, who packs how, and how long is gathered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Setup:
    """One way to copy.

    Attributes:
        name: what it is called in table and picture.
        runs_at: beside which cluster MirrorMaker runs: what crosses the ocean is its consumer's or its producer's.
        source_compression: of the feed's producer, whose batches a consumer fetches as they lie.
        copy_compression: of MirrorMaker's producer.
        transaction_ms: how long the feed's producer gathers a transaction.
        source_linger_ms: how long it gathers a batch within one.
        linger_ms: of MirrorMaker's producer.
        batch_bytes: the same.
    """

    name: str
    runs_at: Literal["target", "source"] = "target"
    source_compression: str = "zstd"
    copy_compression: str = "lz4"
    transaction_ms: int = 100
    source_linger_ms: int = 5
    linger_ms: int = 5
    batch_bytes: int = 131_072

    @property
    def of_the_copys_producer(self) -> dict[str, str]:
        """What differs in MirrorMaker's file."""
        return {
            "compression.type": self.copy_compression,
            "linger.ms": str(self.linger_ms),
            "batch.size": str(self.batch_bytes),
        }


SETUPS = (
    Setup("at the target, zstd (ours)"),
    Setup("at the target, lz4", source_compression="lz4"),
    Setup("at the target, none", source_compression="none"),
    Setup("at the target, transactions of 50 ms", transaction_ms=50),
    Setup("at the target, transactions of 250 ms", transaction_ms=250),
    Setup("at the target, the feed lingers 100 ms", source_linger_ms=100),
    Setup("at the target, lingers, transactions 250 ms", transaction_ms=250, source_linger_ms=250),
    Setup("at the target, copy: linger 0, 16 KiB", linger_ms=0, batch_bytes=16_384),
    Setup("at the target, copy: linger 50", linger_ms=50),
    Setup("at the source, zstd", runs_at="source", copy_compression="zstd"),
    Setup("at the source, lz4", runs_at="source", copy_compression="lz4"),
    Setup("at the source, none", runs_at="source", copy_compression="none"),
    Setup(
        "at the source, zstd, linger 0, 16 KiB",
        runs_at="source",
        copy_compression="zstd",
        linger_ms=0,
        batch_bytes=16_384,
    ),
    Setup("at the source, zstd, linger 50", runs_at="source", copy_compression="zstd", linger_ms=50),
)


@dataclass(frozen=True)
class Result:
    """What one setup cost."""

    setup: str
    changes: int
    bytes_to_target: float
    bytes_to_source: float
    p50_ms: int
    p99_ms: int
    load: float
