"""Java and Maven: found, installed where that is the custom, else asked for in one sentence."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from schemas.errors import ConfigError

_log = logging.getLogger(__name__)

T = TypeVar("T")

LOWEST_JAVA = 17
INSTALL_WITHIN_S = 600
# Debian 12 has the first, Debian 13 the second, Ubuntu both
JAVA_PACKAGES = ("openjdk-17-jre-headless", "openjdk-21-jre-headless")
MAVEN_PACKAGES = ("maven",)
# where macOS and Homebrew put a runtime that is not on the path
ELSEWHERE = (
    "/opt/homebrew/opt/openjdk/bin/java",
    "/usr/local/opt/openjdk/bin/java",
    "/opt/homebrew/opt/openjdk@17/bin/java",
    "/opt/homebrew/opt/openjdk@21/bin/java",
)


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime; ``build`` names it exactly (a class-data archive fits one build only)."""

    path: Path
    version: int
    build: str


def java_version(text: str) -> int | None:
    """The feature version in what ``java -version`` prints, ``None`` when there is none."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if found is None:
        return None
    first, second = int(found[1]), int(found[2] or 0)
    return second if first == 1 else first  # 1.8 is 8


def find_java() -> Java | None:
    """The first runtime of version 17 or later, on the path or where macOS puts one."""
    candidates = [shutil.which("java"), *ELSEWHERE]
    for candidate in candidates:
        if candidate is None or not Path(candidate).exists():
            continue
        # macOS has a /usr/bin/java that only says where to get one
        asked = subprocess.run([candidate, "-version"], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
        version = java_version(asked.stderr) if asked.returncode == 0 else None
        if version is not None and version >= LOWEST_JAVA:
            return Java(Path(candidate), version, hashlib.sha256(asked.stderr.encode()).hexdigest()[:12])
    return None


def find_maven() -> Path | None:
    """Maven on the path."""
    found = shutil.which("mvn")
    return Path(found) if found else None


def _can_install() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get") is not None


def offers(policy: str) -> bool:
    """Whether ``apt-cache policy PACKAGE``, which printed this, knows a version that could be installed."""
    return any("Candidate:" in line and "(none)" not in line for line in policy.splitlines())


def _first_offered(packages: Sequence[str]) -> str:
    for package in packages:
        policy = ["apt-cache", "policy", package]
        asked = subprocess.run(policy, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
        if offers(asked.stdout):
            return package
    return packages[0]


def _install(packages: Sequence[str]) -> None:
    """``apt-get install`` of the first that is offered, once at a time; the output is shown only when it fails."""
    with (Path(tempfile.gettempdir()) / f"changefeed-apt-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["apt-get", "-qq", "update"], capture_output=True, timeout=INSTALL_WITHIN_S, check=False)  # noqa: S607
        package = _first_offered(packages)
        _log.info("installing package=%s", package)
        for command in (
            [
                "env",
                "DEBIAN_FRONTEND=noninteractive",
                "apt-get",
                "-qq",
                "-y",
                "--no-install-recommends",
                "install",
                package,
            ],
        ):
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_WITHIN_S, check=False)  # noqa: S603
            if done.returncode != 0:
                raise ConfigError(
                    f"apt-get could not install {package}: {(done.stderr or done.stdout).strip()[-500:]}",
                    hint=f"Install {package} by hand, then try again.",
                )


def _missing(what: str, packages: Sequence[str], brew: str) -> ConfigError:
    debian = " or ".join(packages)
    return ConfigError(
        f"{what} is needed to run Kafka and DynamoDB on this machine, and none was found.",
        hint=f"Debian/Ubuntu: sudo apt-get install {debian}. macOS: brew install {brew}. Then try again.",
    )


def _require(find: Callable[[], T | None], packages: Sequence[str], missing: ConfigError, *, install: bool) -> T:
    found = find()
    if found is None and install and _can_install():
        _install(packages)
        found = find()
    if found is None:
        raise missing
    return found


def require_java(*, install: bool) -> Java:
    """A Java runtime of version 17 or later, installed when missing where ``install`` and the machine allow it.

    Raises:
        ConfigError: none, and none could be installed; the hint is the command that installs one.
    """
    missing = _missing(f"Java {LOWEST_JAVA} or later", JAVA_PACKAGES, "openjdk@17")
    return _require(find_java, JAVA_PACKAGES, missing, install=install)


def require_maven(*, install: bool) -> Path:
    """Maven, which fetches the jars; needed only until they are in the cache.

    Raises:
        ConfigError: none, and none could be installed; the hint is the command that installs it.
    """
    missing = _missing("Maven", MAVEN_PACKAGES, "maven")
    return _require(find_maven, MAVEN_PACKAGES, missing, install=install)
