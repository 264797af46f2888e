"""The bench and Groovy as fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from feed.local.jars import Jars
from tests.integration.mirrormaker.mirror_bench import GroovyRunner, MirrorBench, pom, resolve_jars, run_groovy

SCRIPTS = Path(__file__).parent


@pytest.fixture(scope="session")
def mirror_bench(local_site: Any) -> Iterator[MirrorBench]:
    """Two brokers that the tests of this folder share; each test has topics of its own."""
    bench = MirrorBench(local_site)
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def groovy_jars(tmp_path_factory: pytest.TempPathFactory) -> Jars:
    """Groovy, which asks Java classes without a compiler."""
    return resolve_jars(pom("org.apache.groovy:groovy:4.0.28"), tmp_path_factory.mktemp("groovy"))


@pytest.fixture(scope="session")
def groovy(groovy_jars: Jars) -> GroovyRunner:
    """``groovy("keys", argument…, jars=…)`` → what the script prints."""

    def run(script: str, *arguments: str, jars: Jars, java: Path | None = None) -> str:
        return partial(run_groovy, SCRIPTS / f"{script}.groovy", groovy=groovy_jars)(*arguments, jars=jars, java=java)

    return run
