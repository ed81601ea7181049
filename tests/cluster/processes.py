"""Starts and stops servers that outlive this program, and never signals a process that is not theirs.

A pid file holds the process's start time and the boot it belongs to, so a recycled pid is recognised. Every server also
carries a mark in its environment, which its children inherit: `up` finds by it what no pid file names.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "PREVIEWS_CLUSTER_SERVER"
STOP_SECONDS = 10.0
POLL_SECONDS = 0.05
STAT_STATE = 0  # the fields of /proc/PID/stat that follow the command's name
STAT_START_TIME = 19
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# Kept so that a child that ended is reaped by the program that started it.
_children: dict[int, subprocess.Popen[bytes]] = {}


@atexit.register
def _leave_running() -> None:
    """They are to outlive this program, which Popen would take for an oversight."""
    for child in _children.values():
        child.returncode = child.poll() or 0


@dataclass(frozen=True)
class PidFile:
    """A process as it was when it was started."""

    pid: int
    start_time: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> "PidFile | None":
        """The running process with this pid, or None: a zombie is not running."""
        child = _children.get(pid)
        if child is not None and child.poll() is not None:
            return None
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        if fields[STAT_STATE] == "Z":
            return None
        return cls(pid, int(fields[STAT_START_TIME]), BOOT_ID.read_text().strip())

    @classmethod
    def read(cls, path: Path) -> "PidFile | None":
        try:
            found = json.loads(path.read_text())
            return cls(int(found["pid"]), int(found["start_time"]), str(found["boot_id"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(self.__dict__))
        partial.replace(path)

    def is_running(self) -> bool:
        return PidFile.of(self.pid) == self


def running_pid(path: Path) -> int | None:
    """The pid in this file, if that very process still runs."""
    recorded = PidFile.read(path)
    return recorded.pid if recorded and recorded.is_running() else None


def mark(root: Path, component: str) -> str:
    return f"{root}:{component}"


def start(argv: Sequence[str], *, environment: Mapping[str, str], log: Path, pid_file: Path) -> int:
    """Start a server in a session of its own, with nothing open that belongs to this program."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            argv,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
    _children[child.pid] = child
    if started := PidFile.of(child.pid):
        started.write(pid_file)
    return child.pid


def stop(pid_file: Path, *, seconds: float = STOP_SECONDS) -> None:
    """End the server that this file names, politely at first, and what it left in its session."""
    recorded = PidFile.read(pid_file)
    if recorded and recorded.is_running():
        os.kill(recorded.pid, signal.SIGTERM)
        wait_while(recorded.is_running, seconds)
        signal_group(recorded.pid, signal.SIGKILL)
        wait_while(recorded.is_running, seconds)
        wait_while(lambda: signal_group(recorded.pid, 0), seconds)
    pid_file.unlink(missing_ok=True)


def wait_while(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while condition() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def signal_group(leader: int, number: int) -> bool:
    """Whether the process group still had a member."""
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return False
    return True


def all_pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def mark_of(pid: int) -> str | None:
    """The cluster and component that this process, or the one that started it, belongs to."""
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    prefix = f"{MARK}=".encode()
    return next((os.fsdecode(it[len(prefix) :]) for it in entries if it.startswith(prefix)), None)


def marked(root: Path, component: str | None = None) -> list[int]:
    """Processes that carry the mark of this cluster, or of one of its components."""
    wanted = mark(root, component or "")
    found = []
    for pid in all_pids():
        carried = mark_of(pid) or ""
        if carried == wanted or (component is None and carried.startswith(wanted)):
            found.append(pid)
    return found


def command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def kill_all(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for child in _children.values():
        child.poll()
