"""What goes wrong and when: decided by the seed, carried out on the real processes, one after another.

A thread injects until it is told to stop, and then leaves everything running.
"""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from random import Random
from types import TracebackType
from typing import Self

from tests.bind import BindProcess
from tests.cluster import RunningCluster
from tests.cluster.layout import Layout
from tests.cluster.processes import PidFile, wait_while
from tests.postgres import PostgresProcess
from tests.world.manager import Manager

PAUSE_SECONDS = (5.0, 40.0)
"""Between the beginnings of two faults, unless the first lasts longer."""
OUTAGE_SECONDS = (0.0, 5.0)
"""How long what was stopped stays away; starting takes its time on top of it."""
END_SECONDS = 10.0

Away = tuple[Callable[[], None], Callable[[], None]]
"""What ends something, and what begins it again."""


class Fault(StrEnum):
    """Gitea is forge and Git server in one; where GitHub is the forge, it is the Git server alone."""

    FORGE_KILLED = "forge and Git server killed"
    FORGE_RESTARTED = "forge and Git server restarted"
    API_SERVER_KILLED = "Kubernetes API server killed"
    API_SERVER_RESTARTED = "Kubernetes API server restarted"
    MANAGER_KILLED = "manager killed"
    MANAGER_RESTARTED = "manager restarted"
    DEAF = "all webhooks lost for a while"
    DATABASE_KILLED = "database server killed"
    """All of its processes at once, and nothing is written out before."""
    DATABASE_RESTARTED = "database server restarted"
    NAME_SERVER_KILLED = "name server killed"
    NAME_SERVER_SILENT = "name server silent"
    """It hears everything, and does it when it wakes up: long after whoever asked has given up."""
    GITHUB_AWAY = "GitHub hangs up on everybody"
    GITHUB_SICK = "GitHub answers 502"
    GITHUB_UNHEARD = "GitHub does what it is asked, and all answers are lost"
    GITHUB_LIMITS = "GitHub limits everybody"


OF_DATABASES = (Fault.DATABASE_KILLED, Fault.DATABASE_RESTARTED)
OF_RECORDS = (Fault.NAME_SERVER_KILLED, Fault.NAME_SERVER_SILENT)
OF_GITHUB = (Fault.GITHUB_AWAY, Fault.GITHUB_SICK, Fault.GITHUB_UNHEARD, Fault.GITHUB_LIMITS)
COMMON = tuple(fault for fault in Fault if fault not in (*OF_DATABASES, *OF_RECORDS, *OF_GITHUB))


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault of a schedule."""

    fault: Fault
    pause_seconds: float
    """After the beginning of the fault before."""
    outage_seconds: float


def schedule(seed: int, faults: Sequence[Fault] = COMMON) -> Iterator[Planned]:
    """Endless. Each kind comes once before any comes again, so that a short run meets all of them too."""
    random = Random(f"{seed}/faults")
    while True:
        for fault in random.sample(faults, len(faults)):
            yield Planned(fault, random.uniform(*PAUSE_SECONDS), random.uniform(*OUTAGE_SECONDS))


class Injector:
    """Used in a `with`, at whose end every server and the manager run again."""

    def __init__(
        self,
        seed: int,
        cluster: RunningCluster,
        manager: Manager,
        *,
        database: PostgresProcess | None,
        name_server: BindProcess | None,
        forge: Mapping[Fault, Away],
        deaf: Callable[[], AbstractContextManager[None]],
        say: Callable[[str], None],
    ) -> None:
        of_databases = OF_DATABASES if database else ()
        of_records = OF_RECORDS if name_server else ()
        self._schedule = schedule(seed, (*COMMON, *of_databases, *of_records, *forge))
        self._database = database
        self._name_server = name_server
        self._forge = forge
        self._cluster = cluster
        self._manager = manager
        self._deaf = deaf
        self._say = say
        self._stopping = threading.Event()
        self._counted: Counter[Fault] = Counter()
        self._wrong: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="faults", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        for component in ("gitea", "kube-apiserver"):
            self._cluster.start(component)
        if self._database and not self._database.is_running:
            self._database.start()
        if self._name_server and not self._name_server.is_running:
            self._name_server.start()
        if not self._manager.is_running:
            self._manager.start(until_ready=False)
        if self._wrong and error is None:
            raise RuntimeError("a fault could not be injected or mended") from self._wrong[0]

    def counted(self) -> Mapping[Fault, int]:
        """How many of each kind there were so far."""
        return dict(self._counted)

    def _run(self) -> None:
        try:
            for planned in self._schedule:
                if self._stopping.wait(planned.pause_seconds):
                    return
                self._say(f"{planned.fault}, for {planned.outage_seconds:.1f} s")
                self._counted[planned.fault] += 1
                self._inject(planned)
        except BaseException as error:  # noqa: BLE001 - raised again where the run is judged
            self._wrong.append(error)

    def _inject(self, planned: Planned) -> None:
        manager = self._manager
        away: dict[Fault, Away] = {
            Fault.FORGE_KILLED: self._killed("gitea"),
            Fault.FORGE_RESTARTED: self._stopped("gitea"),
            Fault.API_SERVER_KILLED: self._killed("kube-apiserver"),
            Fault.API_SERVER_RESTARTED: self._stopped("kube-apiserver"),
            Fault.MANAGER_KILLED: (manager.kill, partial(manager.start, until_ready=False)),
            Fault.MANAGER_RESTARTED: (manager.stop, partial(manager.start, until_ready=False)),
            **self._forge,
        }
        if database := self._database:
            away |= {
                Fault.DATABASE_KILLED: (partial(database.stop, "immediate"), database.start),
                Fault.DATABASE_RESTARTED: (database.stop, database.start),
            }
        if server := self._name_server:
            away |= {
                Fault.NAME_SERVER_KILLED: (server.stop, server.start),
                Fault.NAME_SERVER_SILENT: (server.freeze, server.thaw),
            }
        # What has not to be started again stays away for longer.
        longer_seconds = planned.outage_seconds + PAUSE_SECONDS[0]
        if planned.fault is Fault.DEAF:
            with self._deaf():
                self._stopping.wait(longer_seconds)
            return
        end, begin = away[planned.fault]
        end()
        is_longer = planned.fault in (*OF_GITHUB, Fault.NAME_SERVER_SILENT)
        self._stopping.wait(longer_seconds if is_longer else planned.outage_seconds)
        begin()

    def _stopped(self, component: str) -> Away:
        return partial(self._cluster.stop, component), partial(self._cluster.start, component)

    def _killed(self, component: str) -> Away:
        return partial(self._kill, component), partial(self._cluster.start, component)

    def _kill(self, component: str) -> None:
        """SIGKILL to the server alone, as the kernel does it when memory runs out."""
        running = PidFile.read(Layout(self._cluster.directory).pids / f"{component}.pid")
        if running and running.is_running():
            os.kill(running.pid, signal.SIGKILL)
            wait_while(running.is_running, END_SECONDS)
