"""``python -m feed.config FILE``: write the reference of the settings into a document (``make docs``)."""

from __future__ import annotations

import sys
from pathlib import Path

from feed.config.reference import with_tables

if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_tables(file.read_text(encoding="utf-8")), encoding="utf-8")
