"""What all tests share: the options of a strict run, and which tests belong to which backend."""

from __future__ import annotations

import signal

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped or expectedly failing test fails the run (CI)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "containers_only: about containers as such; runs with --regions containers")
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # begun in the background by a script: children would ignore it, too
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests about containers as such are no part of a run on processes (left out, not skipped)."""
    if config.getoption("--regions") == "containers":
        return
    left_out = [item for item in items if item.get_closest_marker("containers_only")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not session.config.getoption("--no-skips") or exitstatus != pytest.ExitCode.OK:
        return
    if any(reporter.stats.get(kind) for kind in ("skipped", "xfailed", "xpassed")):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
