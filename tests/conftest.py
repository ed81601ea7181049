"""What holds for every test: where it lies says what it needs, and with CI=true each of them must run."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

E2E_FOLDER = Path(__file__).parent / "e2e"
IN_CI = os.environ.get("CI") == "true"

# No deadlines: how long an example takes says more about the machine than about the code.
settings.register_profile("development", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if IN_CI else "development")


def pytest_configure(config: pytest.Config) -> None:
    if IN_CI:
        config.pluginmanager.register(NothingIsSkipped(), "nothing-is-skipped")


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(E2E_FOLDER):
            item.add_marker(pytest.mark.e2e)


class NothingIsSkipped:
    """Fails the run when a test or a whole file was skipped: in CI a machine that cannot run a test is a broken one."""

    def __init__(self) -> None:
        self._skipped: list[tuple[str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A failure that is expected is reported as a skip too, but the test did run.
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped.append((report.nodeid, _reason(report)))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._skipped.append((report.nodeid, _reason(report)))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._skipped:
            return
        terminalreporter.section("skipped, and so the run fails (CI=true)", red=True)
        for nodeid, reason in self._skipped:
            terminalreporter.line(f"{nodeid}: {reason}")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """What the skip said. Pytest keeps it as (file, line, text)."""
    match report.longrepr:
        case (_, _, str(text)):
            return text.removeprefix("Skipped: ")
        case other:
            return str(other)
