"""Files in, report out: the doctor's one function."""

from __future__ import annotations

from collections.abc import Mapping

from mirrormaker.doctor.findings import Finding, Report
from mirrormaker.doctor.known import KafkaVersion
from mirrormaker.doctor.reading import read_documents
from mirrormaker.doctor.rules import ALL
from mirrormaker.doctor.setup import Setup, build_setup


def setup_of(
    files: Mapping[str, str],
    *,
    version: KafkaVersion | None = None,
    runs_beside: str = "",
    managed: str = "",
) -> Setup:
    """The setup that a set of files (name → text) describes together.

    Raises:
        ConfigError: a file cannot be read as anything that the doctor knows.
    """
    documents = [document for path, text in files.items() for document in read_documents(text, path)]
    return build_setup(documents, version=version, runs_beside=runs_beside, managed=managed)


def diagnose(
    files: Mapping[str, str],
    *,
    version: KafkaVersion | None = None,
    runs_beside: str = "",
    managed: str = "",
) -> Report:
    """What is wrong with a set of files, worst first.

    Args:
        files: name → text; connectors of one flow and their worker's properties are judged together.
        version: Kafka's version that will run them; None: the one that the files name, else the latest known.
        runs_beside: alias of the cluster that MirrorMaker runs next to, when known.
        managed: ``msk-connect`` when that service runs the workers.

    Raises:
        ConfigError: a file cannot be read as anything that the doctor knows.
    """
    return examine(setup_of(files, version=version, runs_beside=runs_beside, managed=managed))


def examine(setup: Setup) -> Report:
    """Every rule over a setup; a line that several flows share is reported once for a rule."""
    found: dict[tuple[str, str, int, str], Finding] = {}
    for rule in ALL:
        for finding in rule.findings(setup):
            found.setdefault((finding.code, finding.path, finding.line, finding.key), finding)
    return Report(tuple(sorted(found.values(), key=lambda finding: finding.rank)))
