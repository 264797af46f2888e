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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from schemas.errors import ConfigError

_log = logging.getLogger(__name__)

T = TypeVar("T")

LOWEST_JAVA = 17
INSTALL_WITHIN_S = 600
PACKAGES = {"java": "openjdk-17-jre-headless", "mvn": "maven"}
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


def _install(package: str) -> None:
    """``apt-get install``, once at a time on this machine; the output is shown only when it fails."""
    with (Path(tempfile.gettempdir()) / "changefeed-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _log.info("installing package=%s", package)
        for command in (
            ["apt-get", "-qq", "update"],
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


def _missing(what: str, package: str, brew: str) -> ConfigError:
    return ConfigError(
        f"{what} is needed to run Kafka and DynamoDB on this machine, and none was found.",
        hint=f"Debian/Ubuntu: sudo apt-get install {package}. macOS: brew install {brew}. Then try again.",
    )


def _require(find: Callable[[], T | None], package: str, missing: ConfigError, *, install: bool) -> T:
    found = find()
    if found is None and install and _can_install():
        _install(package)
        found = find()
    if found is None:
        raise missing
    return found


def require_java(*, install: bool) -> Java:
    """A Java runtime of version 17 or later, installed when missing where ``install`` and the machine allow it.

    Raises:
        ConfigError: none, and none could be installed; the hint is the command that installs one.
    """
    missing = _missing(f"Java {LOWEST_JAVA} or later", PACKAGES["java"], "openjdk@17")
    return _require(find_java, PACKAGES["java"], missing, install=install)


def require_maven(*, install: bool) -> Path:
    """Maven, which fetches the jars; needed only until they are in the cache.

    Raises:
        ConfigError: none, and none could be installed; the hint is the command that installs it.
    """
    missing = _missing("Maven", PACKAGES["mvn"], "maven")
    return _require(find_maven, PACKAGES["mvn"], missing, install=install)
