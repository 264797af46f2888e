"""Settings of the replay."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.settings import Settings


class ReplaySettings(Settings):
    """How a replay is put in order and sent. The command's options override the rate."""

    rate_per_s: Annotated[int, Field(ge=1)] = 5_000
    """Changes sent in a second at most: what the group's sink takes besides its live topic."""
    batch_records: Annotated[int, Field(ge=1, le=50_000)] = 2_000
    """Changes of one transaction; they are seen together."""
    commit_timeout_ms: Annotated[int, Field(ge=100)] = 10_000
    """How long one commit may take before it is asked again; four times that, and the command gives up."""
    memory_bytes: Annotated[int, Field(ge=1024 * 1024)] = 256 * 1024 * 1024
    """Memory for putting changes in order, about; more of them go to disk."""
    spill_bytes: Annotated[int, Field(ge=1024 * 1024)] = 64 * 1024 * 1024 * 1024
    """Disk for putting changes in order, in the system's folder for temporary files: about the size of the archive's
    objects in the range."""
    parallel_reads: Annotated[int, Field(ge=1, le=64)] = 4
    """Objects of the archive that are fetched ahead."""
