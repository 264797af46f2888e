"""One stack at a time on a folder of state: two brokers on one disk would ruin it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from schemas.errors import ConfigError


def lock_folder(folder: Path) -> IO[str]:
    """Hold the folder for this process, made when absent, until the returned file is closed or the process ends.

    Raises:
        ConfigError: another process holds it; the message has its process id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / ".owner").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise ConfigError(
            f"The data folder {folder} is in use by process {owner}.",
            hint="Stop that one first (`feed down`), or give another folder.",
        ) from e
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
