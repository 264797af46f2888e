"""A Kafka image for where no registry can be reached: Debian packages and Maven's jars, in the official image's layout.

An image is named after its content (the files of ``images/``, the pom, the versions that apt offers) and built once.
``python -m feed.local.kafka_image`` builds what is missing and prints the name.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import docker
import docker.errors

from feed.local.jars import POMS, kafka_jars
from feed.local.settings import LocalSettings
from feed.local.tools import JAVA_PACKAGES
from schemas.errors import ConfigError

_log = logging.getLogger(__name__)

HERE = Path(__file__).parent / "images"
LOG_CONFIGURATION = HERE.parent / "log4j2.xml"
PACKAGES = ("busybox-static", "libc6", *JAVA_PACKAGES)
UNPACK_WITHIN_S = 300
BUILD_WITHIN_S = 600


def content_tag(folder: Path, *more: str) -> str:
    """A digest of every file below ``folder`` (path, mode, content) and of ``more``."""
    digest = hashlib.sha256("\0".join(more).encode())
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(f"\0{file.relative_to(folder)} {file.stat().st_mode & 0o111}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _offered_versions() -> str:
    """What apt would install here: other versions, another image."""
    if shutil.which("apt-cache") is None:
        raise ConfigError(
            "The Kafka image can be built on Debian or Ubuntu only (from their packages).",
            hint="Elsewhere use the official image, apache/kafka, or run the regions as processes.",
        )
    asked = subprocess.run(["apt-cache", "policy", *PACKAGES], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603, S607
    return "\n".join(line.strip() for line in asked.stdout.splitlines() if "Candidate" in line)


def _has(client: docker.DockerClient, image: str) -> bool:
    try:
        client.images.get(image)
    except docker.errors.ImageNotFound:
        return False
    return True


def _build(client: docker.DockerClient, context: Path, image: str, arguments: dict[str, str]) -> None:
    _log.info("building image=%s", image)
    try:
        client.images.build(
            path=str(context), tag=image, buildargs=arguments, rm=True, forcerm=True, timeout=BUILD_WITHIN_S
        )
    except docker.errors.BuildError as e:
        said = "".join(str(line.get("stream", "")) for line in e.build_log)
        raise ConfigError(
            f"The image {image} could not be built: {e}\n{said[-2000:]}", hint="The text above is the build's own."
        ) from e


def _build_jre(client: docker.DockerClient, image: str) -> None:
    with tempfile.TemporaryDirectory(prefix="changefeed-jre-") as scratch:
        context = Path(scratch) / "context"
        context.mkdir()
        done = subprocess.run(  # noqa: S603 - our own script
            [str(HERE / "jre" / "rootfs.sh"), str(context)],
            capture_output=True,
            text=True,
            timeout=UNPACK_WITHIN_S,
            check=False,
        )
        if done.returncode != 0:
            raise ConfigError(
                f"The packages of the base image could not be unpacked: {done.stderr.strip()[-500:]}",
                hint="Run `apt-get update` and try again.",
            )
        shutil.copy(HERE / "jre" / "Dockerfile", context / "Dockerfile")
        _build(client, context, image, {})


def _build_kafka(client: docker.DockerClient, image: str, base: str, settings: LocalSettings) -> None:
    with tempfile.TemporaryDirectory(prefix="changefeed-kafka-") as scratch:
        context = Path(scratch) / "context"
        shutil.copytree(HERE / "kafka", context)
        shutil.copy(LOG_CONFIGURATION, context / "etc" / "log4j2.xml")
        (context / "libs").mkdir()
        for jar in kafka_jars(settings).folder.glob("*.jar"):
            shutil.copy(jar, context / "libs")
        _build(client, context, image, {"BASE": base})


def kafka_image(settings: LocalSettings) -> str:
    """The name of the local Kafka image, built now if it is not there.

    Raises:
        ConfigError: no engine answers, or it cannot be built here; the hint says what to do.
    """
    try:
        client = docker.from_env(timeout=BUILD_WITHIN_S)
    except docker.errors.DockerException as e:
        raise ConfigError(
            f"No Docker Engine answers: {e}", hint="Start Docker, or run the regions as processes (the default)."
        ) from e
    jre = f"changefeed-jre:{content_tag(HERE / 'jre', _offered_versions())}"
    pom = (POMS / "kafka.xml").read_text() + LOG_CONFIGURATION.read_text()
    kafka = f"changefeed-kafka:{settings.kafka_version}-{content_tag(HERE / 'kafka', jre, pom)}"
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with (settings.cache_dir / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _has(client, kafka):
            if not _has(client, jre):
                _build_jre(client, jre)
            _build_kafka(client, kafka, jre, settings)
    client.close()
    return kafka


if __name__ == "__main__":
    try:
        print(kafka_image(LocalSettings()))
    except ConfigError as error:
        sys.exit(f"{error}\n{error.hint}")
