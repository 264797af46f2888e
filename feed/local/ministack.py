"""SES, SNS and SQS on one address: ministack, in a Python environment of its own (it pins what we do not)."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from feed.local.dynamodb import answers_http
from feed.local.part import ProcessPart, Site, with_environment
from feed.local.settings import LocalSettings
from schemas.errors import ConfigError

_log = logging.getLogger(__name__)

REQUIREMENT = "ministack==1.5.33"
INSTALL_WITHIN_S = 600


def install(settings: LocalSettings) -> Path:
    """The environment that holds ministack, from the cache or made now; whole or not at all.

    Raises:
        ConfigError: the package cannot be installed.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(f"{REQUIREMENT} {version} {sys.executable}".encode()).hexdigest()[:12]
    target = settings.cache_dir / f"ministack-{digest}"
    done = target / "installed"
    if done.exists():
        return target
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with (settings.cache_dir / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _log.info("installing package=%s into=%s", REQUIREMENT, target)
            shutil.rmtree(target, ignore_errors=True)  # an environment cannot be moved, so an unfinished one goes
            _make(target)
            done.write_text(REQUIREMENT)
    return target


def _make(target: Path) -> None:
    uv = shutil.which("uv")
    venv.create(target, with_pip=uv is None, symlinks=True)
    python = str(target / "bin" / "python")
    command = [uv, "pip", "install", "-q", "--python", python] if uv else [python, "-m", "pip", "install", "-q"]
    ran = subprocess.run([*command, REQUIREMENT], capture_output=True, text=True, timeout=INSTALL_WITHIN_S, check=False)  # noqa: S603
    if ran.returncode != 0:
        raise ConfigError(
            f"{REQUIREMENT} could not be installed: {ran.stderr.strip()[-500:]}",
            hint="Check that pip reaches its package index.",
        )


class Ministack(ProcessPart):
    """Mail, topics and queues; any credentials do. What was sent is shown at ``/_ministack/ses/messages``."""

    def __init__(self, site: Site, *, environment: Path, name: str = "ministack") -> None:
        super().__init__(name, site)
        self._environment = environment
        self._port = site.ports.port(name)

    @property
    def endpoint(self) -> str:
        """URL for clients of every service."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """``endpoint``."""
        return {"endpoint": self.endpoint}

    @property
    def stop_within_s(self) -> float:
        """It keeps nothing on disk."""
        return 3.0

    def command(self) -> Sequence[str]:
        """Bound to the loopback address; state in memory."""
        variables = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self._port), "PYTHONUNBUFFERED": "1"}
        return with_environment(variables, [str(self._environment / "bin" / "ministack")])

    def is_ready(self) -> bool:
        """It answers over HTTP."""
        return answers_http(self._port, "/_ministack/health")
