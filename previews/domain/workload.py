"""What Kubernetes says of the pods of a preview, reduced to what tells why they do not come up. Pure.

Every text in it may come from whoever wrote the image or the chart: it is one line, and bounded, and no more.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_MADE_UP = re.compile(r"-(?=[0-9a-f]*[0-9])[0-9a-f]{7,}(?=-|$)")
"""The parts of a Job's name that tell one run from the next: a hash, a commit, a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a container ended."""

    reason: str
    """In Kubernetes' words: Error, OOMKilled, Completed, StartError."""
    exit_code: int
    message: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a pod, those that prepare it included."""

    name: str
    image: str = ""
    ready: bool = False
    runs: bool = False
    restarts: int = 0
    waiting: str = ""
    """In Kubernetes' words why it does not run; empty if it waits for nothing."""
    waiting_message: str = ""
    ended: Ending | None = None
    """If it has ended, and was not started again."""
    ended_before: Ending | None = None
    """How it ended before it was started the last time."""

    @property
    def last_ending(self) -> Ending | None:
        return self.ended or self.ended_before


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod."""

    name: str
    created: datetime | None = None
    owner_kind: str = ""
    """ReplicaSet, StatefulSet, DaemonSet or Job; empty for a pod of its own."""
    owner: str = ""
    revision: str = ""
    """What tells the pods of an owner before a change from those after it, where the owner stays the same."""
    node: str = ""
    """Where it runs; empty while no node was found."""
    phase: str = ""
    deleting: bool = False
    ready: bool = False
    unschedulable: str = ""
    """Why no node was found, in the scheduler's words."""
    failure: str = ""
    """Why it is over, in one word of Kubernetes': Evicted, DeadlineExceeded."""
    failure_message: str = ""
    containers: tuple[Container, ...] = ()
    """Those that prepare it come first, as they run first."""

    @property
    def of(self) -> str:
        """What people call that which it belongs to: the name of its Deployment, not of one ReplicaSet."""
        match self.owner_kind:
            case "ReplicaSet":
                return self.owner.rpartition("-")[0] or self.owner
            case "Job":
                return _MADE_UP.sub("", self.owner) or self.owner
            case _:
                return self.owner or self.name

    @property
    def is_over(self) -> bool:
        return self.phase in {"Succeeded", "Failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One event that Kubernetes calls a warning, as often as it came."""

    kind: str
    """Of what it is about: Pod, ReplicaSet, Job."""
    name: str
    reason: str
    message: str
    count: int = 1
    at: datetime | None = None
    """When it came last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The pods of one namespace, and the warnings about what is in it."""

    pods: tuple[Pod, ...] = ()
    notices: tuple[Notice, ...] = ()
    last_words: str = ""
    """The last lines that the container wrote which `crashed` names, without passwords."""


@dataclass(frozen=True, slots=True)
class Crash:
    """A container that ended by itself although it should run, or that failed at what it should do."""

    pod: Pod
    container: Container
    ending: Ending

    @property
    def is_loop(self) -> bool:
        return self.container.restarts >= LOOP_RESTARTS

    @property
    def was_restarted(self) -> bool:
        """Whether what it wrote is kept as that of its previous run."""
        return self.container.ended is None


LOOP_RESTARTS = 2
"""One crash may come of a database that was late; after the second restart it is a loop."""
_OUT_OF_MEMORY = "OOMKilled"
_NEVER_BEGAN = frozenset({"StartError", "ContainerCannotRun"})


def newest(pods: Iterable[Pod]) -> list[Pod]:
    """The pods that are meant to be there: of each workload the newest revision's, and none that is being deleted.

    An old pod that still answers must not hide that the new one does not, nor an old one that fails make the new one
    look bad. Of what is over only the last attempt counts, and only where nothing runs instead.
    """
    revisions: dict[tuple[str, str], dict[tuple[str, str], list[Pod]]] = {}
    for pod in pods:
        if not pod.deleting:
            of_workload = revisions.setdefault((pod.owner_kind, pod.of), {})
            of_workload.setdefault((pod.owner, pod.revision), []).append(pod)
    found: list[Pod] = []
    for of_workload in revisions.values():
        last = max(of_workload.values(), key=lambda each: max(map(_born, each)))
        at_work = [pod for pod in last if not pod.is_over]
        found += at_work or [max(last, key=_born)]
    return sorted(found, key=lambda pod: pod.name)


def crashed(pods: Iterable[Pod]) -> Crash | None:
    """The container whose last words tell the most: of those that crashed, the one that did it most often."""
    found = [
        Crash(pod, container, ending)
        for pod in newest(pods)
        if pod.phase != "Succeeded"
        for container in pod.containers
        if (ending := _crash_of(container)) is not None
    ]
    return max(found, key=lambda crash: crash.container.restarts, default=None)


def is_out_of_memory(container: Container) -> bool:
    """Whether it was killed for that, also if it was started again since."""
    ending = container.last_ending
    return ending is not None and ending.reason == _OUT_OF_MEMORY


def never_began(container: Container) -> Ending | None:
    """How it ended if its program could not even be started."""
    ending = container.last_ending
    return ending if ending is not None and ending.reason in _NEVER_BEGAN else None


def _crash_of(container: Container) -> Ending | None:
    ending = container.last_ending
    if ending is None or container.ready or is_out_of_memory(container) or never_began(container):
        return None
    # One that ends well is a crash only if it should not have ended, and that Kubernetes says by waiting.
    fails = ending.exit_code != 0 or container.waiting == "CrashLoopBackOff"
    return ending if fails else None


def _born(pod: Pod) -> datetime:
    return pod.created or _EARLIEST
