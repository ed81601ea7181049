"""What holds for every test: where it lies says what it needs, what stops parts of the cluster has it for itself, and
with CI=true each of them must run. With `-n` files are handed to several processes.
"""

import os
from collections.abc import Generator, Sequence
from contextlib import ExitStack

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from tests.cluster import running
from tests.world.exclusive import alone_on, taking_turns

E2E = "tests/e2e/"
IN_SHARED_WORLDS = (
    f"{E2E}test_deletions_live.py",
    f"{E2E}test_diagnosis_live.py",
    f"{E2E}test_faults_live.py",
    f"{E2E}test_isolation_absent.py",
    f"{E2E}test_lifecycle.py",
    f"{E2E}test_poisoned.py",
)
"""The files of which one process runs all: a World of one name can be there once."""

SHARED_WORLDS = {"running_world", "running_deaf_world"}
HAS_THE_CLUSTER = pytest.StashKey[bool]()
IN_CI = os.environ.get("CI") == "true"

# No deadlines: how long an example takes says more about the machine than about the code.
settings.register_profile("development", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if IN_CI else "development")


def pytest_configure(config: pytest.Config) -> None:
    if IN_CI:
        config.pluginmanager.register(NothingIsSkipped(), "nothing-is-skipped")


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(E2E):
            item.add_marker(pytest.mark.e2e)
        wanted = SHARED_WORLDS.intersection(getattr(item, "fixturenames", ()))
        if wanted and not item.nodeid.startswith(IN_SHARED_WORLDS):
            raise pytest.UsageError(f"{item.nodeid} uses {wanted}, and is not in IN_SHARED_WORLDS")
    if hasattr(config, "workerinput"):
        # They take longer together than any other file: whoever runs them begins at once.
        items.sort(key=lambda item: not item.nodeid.startswith(IN_SHARED_WORLDS))


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before the time that a test may take begins
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    cluster = running() if item.get_closest_marker("e2e") else None
    if cluster is None:
        return (yield)
    stops_parts = item.get_closest_marker("stops_parts") is not None
    with taking_turns(cluster.directory, stops_parts=stops_parts):
        return (yield)


def pytest_xdist_auto_num_workers() -> int:
    """As many as there are cores: where more of them compute, short deadlines are missed."""
    return os.cpu_count() or 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return ByFile(config, log)


def pytest_xdist_node_collection_finished(node: WorkerController, ids: Sequence[str]) -> None:
    """Take the cluster for all processes of this run, if any of its tests needs it."""
    config = node.config
    cluster = running() if any(each.startswith(E2E) for each in ids) else None
    if cluster is None or HAS_THE_CLUSTER in config.stash:
        return
    stack = ExitStack()
    stack.enter_context(alone_on(cluster.directory, "the end-to-end tests"))
    config.add_cleanup(stack.close)
    config.stash[HAS_THE_CLUSTER] = True


class ByFile(LoadFileScheduling):
    """A process takes whole files, whose tests share what was set up."""

    def _split_scope(self, nodeid: str) -> str:
        shared = nodeid.startswith(IN_SHARED_WORLDS)
        return "the shared worlds" if shared else super()._split_scope(nodeid)


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
