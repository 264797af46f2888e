"""The jar cache, with a Maven that is a few lines of shell."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from feed.local import jars, tools
from feed.local.settings import LocalSettings
from schemas.errors import ConfigError

MAVEN = """#!/bin/sh
echo run >>"{runs}"
for word in "$@"; do case $word in -DoutputDirectory=*) out=${{word#*=}} ;; esac; done
touch "$out/a.jar"
sleep 0.2
{then}
touch "$out/b.jar"
"""


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pretended mvn, first on the path; returns its record of runs."""
    return pretend(tmp_path, monkeypatch, then="")


def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str) -> Path:
    bin_dir, runs = tmp_path / "bin", tmp_path / "runs"
    bin_dir.mkdir(exist_ok=True)
    (bin_dir / "mvn").write_text(MAVEN.format(runs=runs, then=then))
    (bin_dir / "mvn").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_dir}{os.pathsep}{os.environ['PATH']}")
    return runs


def test_jars_are_resolved_once_for_all_callers(tmp_path: Path, maven: Path) -> None:
    """Ten callers at once get the same complete folder, and Maven ran once."""
    settings = LocalSettings(cache_dir=tmp_path / "cache")
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda _: jars.kafka_jars(settings), range(10)))
    assert len(set(found)) == 1
    assert found[0].class_path == f"{found[0].folder}/a.jar:{found[0].folder}/b.jar"
    assert maven.read_text().count("run") == 1


def test_other_versions_lie_in_other_folders(tmp_path: Path, maven: Path) -> None:
    """Kafka 3.9 can stand beside 4.3."""
    new, old = (
        jars.kafka_jars(LocalSettings(cache_dir=tmp_path / "cache", kafka_version=version))
        for version in ("4.3.1", "3.9.1")
    )
    assert new.folder != old.folder


def test_a_failed_run_leaves_nothing_to_be_mistaken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Maven says is in the error, and the next try starts from nothing."""
    settings = LocalSettings(cache_dir=tmp_path / "cache")
    pretend(tmp_path, monkeypatch, then="echo '[ERROR] Could not find artifact x:y'; exit 1")
    with pytest.raises(ConfigError, match="Could not find artifact x:y"):
        jars.kafka_jars(settings)
    assert [path.name for path in (tmp_path / "cache" / "jars").iterdir() if path.is_dir()] == []
    pretend(tmp_path, monkeypatch, then="")
    assert len(list(jars.kafka_jars(settings).folder.glob("*.jar"))) == 2


@pytest.mark.parametrize("what", ["java", "mvn"])
def test_what_is_missing_is_said_in_a_sentence(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Java or Maven the error says what to install, and with which command."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "ELSEWHERE", ())
    require = {"java": tools.require_java, "mvn": tools.require_maven}[what]
    with pytest.raises(ConfigError) as caught:
        require(install=True)  # no apt-get on this path either
    assert "needed" in str(caught.value)
    packages = {"java": tools.JAVA_PACKAGES, "mvn": tools.MAVEN_PACKAGES}[what]
    assert f"apt-get install {' or '.join(packages)}" in caught.value.hint
    assert "brew install" in caught.value.hint


def test_an_old_java_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Java 11 is as good as none."""
    (tmp_path / "java").write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    monkeypatch.setattr(tools, "ELSEWHERE", ())
    assert tools.find_java() is None


APT = """#!/bin/sh
case "$0 $*" in
  *apt-cache*17*) printf 'openjdk-17-jre-headless:\\n  Installed: (none)\\n  Candidate: (none)\\n' ;;
  *apt-cache*21*) printf 'openjdk-21-jre-headless:\\n  Installed: (none)\\n  Candidate: 21.0.8\\n' ;;
  *install*)
    printf '#!/bin/sh\\necho openjdk version \\\\"21.0.8\\\\" >&2\\n' >"{bin}/java"
    chmod +x "{bin}/java"
    echo "$*" >>"{bin}/installed" ;;
esac
"""


def test_the_offered_java_is_installed_where_that_is_the_custom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root with apt-get, the first Java that the distribution offers is installed and then found."""
    for name in ("apt-get", "apt-cache"):
        (tmp_path / name).write_text(APT.format(bin=tmp_path))
        (tmp_path / name).chmod(0o755)
    (tmp_path / "env").symlink_to("/usr/bin/env")
    (tmp_path / "chmod").symlink_to("/bin/chmod")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "ELSEWHERE", ())
    monkeypatch.setattr(tools.sys, "platform", "linux")
    monkeypatch.setattr(tools.os, "geteuid", lambda: 0)
    assert tools.require_java(install=True).version == 21
    installed = (tmp_path / "installed").read_text()
    assert "openjdk-21-jre-headless" in installed
    assert "openjdk-17" not in installed
