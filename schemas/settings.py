"""What every section of ``feed.yaml`` has in common.

The layer that uses a setting defines it, beside the code it steers; ``feed/config`` only puts the sections together.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A section of the configuration: frozen, strict about unknown keys, secrets never in its ``repr``."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)
