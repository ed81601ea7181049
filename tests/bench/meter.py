"""What the manager's process costs: its memory and its processor time, and those of nobody else."""

import time

import psutil

from tests.world.manager import Manager

MIB = 2**20
QUIET_WINDOW_SECONDS = 5.0
QUIET_PERCENT = 5.0
PATIENCE_SECONDS = 600.0


class Meter:
    """Of the process that a manager is at present."""

    def __init__(self, manager: Manager) -> None:
        self._process = psutil.Process(manager.pid)

    def rss_mib(self) -> float:
        return float(self._process.memory_info().rss) / MIB

    def cpu_percent(self, seconds: float) -> tuple[float, float]:
        """Over this time, in percent of one core: of the process, and of the commands that ended meanwhile."""
        before = self._process.cpu_times()
        began = time.monotonic()
        time.sleep(seconds)
        after = self._process.cpu_times()
        passed = time.monotonic() - began
        own = after.user + after.system - before.user - before.system
        commands = (
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
        return 100 * own / passed, 100 * commands / passed

    def wait_until_quiet(self) -> None:
        """Until it has next to nothing to do: what is left of the work before does not count."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while sum(self.cpu_percent(QUIET_WINDOW_SECONDS)) > QUIET_PERCENT:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the manager is still busy after {PATIENCE_SECONDS:g} s")
