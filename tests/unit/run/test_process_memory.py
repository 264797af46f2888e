"""What a consumer's process does so that a backlog leaves little behind."""

from __future__ import annotations

import subprocess
import sys


def test_arrow_takes_the_systems_allocator_whatever_is_loaded_first() -> None:
    """The default of Arrow's C++ library is told before Arrow is loaded, in the process that runs a consumer."""
    program = (
        "import feed.cli, feed.run.consumer, gc, pyarrow; from feed.run.memory import settle_memory; settle_memory();"
        "print(pyarrow.default_memory_pool().backend_name, gc.get_threshold()[0], gc.get_freeze_count() > 0)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.split() == ["system", "100000", "True"]
