"""Jars that Maven resolves from a committed pom, kept in a folder that is named after the pom's content."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from feed.local.settings import LocalSettings
from feed.local.tools import require_maven
from mirrormaker.render import AGENT_VERSION
from schemas.errors import ConfigError

_log = logging.getLogger(__name__)

RESOLVE_WITHIN_S = 600
POMS = Path(__file__).parent / "poms"
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


@dataclass(frozen=True, slots=True)
class Jars:
    """A complete set of jars in a folder of its own."""

    folder: Path

    @property
    def class_path(self) -> str:
        """Every jar by name, in a fixed order: a class-data archive fits one order only."""
        return ":".join(str(jar) for jar in sorted(self.folder.glob("*.jar")))


def folder_name(name: str, pom: bytes, properties: Mapping[str, str]) -> str:
    """The cache folder of this pom with these properties: other content, other folder."""
    digest = hashlib.sha256(pom)
    for key, value in sorted(properties.items()):
        digest.update(f"\0{key}={value}".encode())
    return f"{name}-{digest.hexdigest()[:12]}"


def resolve(name: str, properties: Mapping[str, str], settings: LocalSettings) -> Jars:
    """The jars of ``poms/<name>.xml``, from the cache or by Maven.

    The folder appears whole or not at all, and of several callers, in whatever processes, one resolves and the others
    wait for it.

    Raises:
        ConfigError: Maven is absent or cannot resolve the pom.
    """
    pom = POMS / f"{name}.xml"
    root = settings.cache_dir / "jars"
    target = root / folder_name(name, pom.read_bytes(), properties)
    if target.is_dir():
        return Jars(target)
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _log.info("resolving jars pom=%s into=%s", pom.name, target)
            _copy(pom, properties, target, settings)
    return Jars(target)


def _copy(pom: Path, properties: Mapping[str, str], target: Path, settings: LocalSettings) -> None:
    maven = require_maven(install=settings.install_missing)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        command = [str(maven), "-q", "-B", "-Dstyle.color=never", "-f", str(pom), COPY_GOAL, "-DincludeScope=runtime"]
        command += [f"-DoutputDirectory={unfinished}", *(f"-D{key}={value}" for key, value in properties.items())]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RESOLVE_WITHIN_S, check=False)  # noqa: S603
        if done.returncode != 0:
            said = [line for line in done.stdout.splitlines() if "ERROR" in line]
            raise ConfigError(
                f"Maven could not resolve {pom.name}: {said[0] if said else done.stderr.strip()[-500:]}",
                hint="Check that Maven reaches its repository (proxy and mirror are in ~/.m2/settings.xml).",
            )
        unfinished.chmod(0o755)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def kafka_jars(settings: LocalSettings) -> Jars:
    """Broker, MirrorMaker, command-line tools and a log binding of ``settings.kafka_version``."""
    return resolve("kafka", {"kafka.version": settings.kafka_version}, settings)


def metrics_agent(settings: LocalSettings) -> Jars:
    """The one jar of the Prometheus agent for JMX, in the version that ``mirrormaker.render`` names."""
    return resolve("jmx", {"jmx.version": AGENT_VERSION}, settings)


def dynamodb_jars(settings: LocalSettings) -> Jars:
    """DynamoDB Local and the libraries of SQLite for this platform."""
    return resolve("dynamodb", {}, settings)
