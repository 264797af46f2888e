"""What is shipped."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = {"connectors", "producers", "consumers", "mirrormaker", "schemas", "feed"}


def test_the_wheel_holds_the_six_packages_and_nothing_else(tmp_path: Path) -> None:
    """The built wheel has exactly our packages on top, each typed, with the schemas' files and the command."""
    subprocess.run(["uv", "build", "--wheel", "--quiet", "--out-dir", tmp_path, ROOT], check=True, timeout=120)
    (wheel,) = tmp_path.glob("changefeed-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (archive.read(n).decode() for n in names if n.endswith(".dist-info/entry_points.txt"))
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert any(name.startswith("schemas/") and name.endswith(".avsc") for name in names)
    assert not [name for name in names if name.endswith((".jar", ".jsa"))], "no jar is redistributed"
    assert "feed = feed.cli:main" in entry_points
