"""What may be chosen about the parts that run on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import Field

from schemas.settings import Settings


def default_cache_dir() -> Path:
    """Where this platform keeps what can be made again: jars, class-data archives, ministack's environment."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "changefeed"
    return Path.home() / ".cache" / "changefeed"


class LocalSettings(Settings):
    """Local parts: versions, memory and bounds. The defaults carry 400 orders a second on two cores."""

    cache_dir: Path = Field(default_factory=default_cache_dir)
    """Folder for resolved jars, class-data archives and ministack's environment; safe to delete when nothing runs."""

    log_dir: Path | None = None
    """Folder for the parts' logs; by default a new one for each run under the cache folder, the last ten are kept."""

    kafka_version: str = "4.3.1"
    """Version of the brokers and of MirrorMaker, 3.9 or later."""

    broker_heap_mib: int = Field(default=384, ge=192)
    """Most Java heap of one broker, in MiB."""

    mirror_heap_mib: int = Field(default=384, ge=128)
    """Most Java heap of one MirrorMaker, in MiB."""

    dynamodb_heap_mib: int = Field(default=256, ge=128)
    """Most Java heap of DynamoDB Local, in MiB; in memory, the table and its stream live there too."""

    ready_within_s: float = Field(default=90.0, gt=0)
    """How long a part may take from its start until it answers, in seconds."""

    stop_within_s: float = Field(default=15.0, gt=0)
    """How long a part may take to stop when asked, before it is killed, in seconds."""

    install_missing: bool = True
    """Whether Java and Maven are installed with apt-get when they are missing and this is Debian or Ubuntu, as root."""
