"""Takes the cluster down, from any state that it may be in, and proves that nothing of it is left."""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from tests.cluster import machine
from tests.cluster.calico import CHAINS, MARK, remove_packet_filter
from tests.cluster.layout import BRIDGE, POD_SUBNET, Layout
from tests.cluster.processes import POLL_SECONDS, command, kill_all, marked, running_pid, wait_while
from tests.cluster.progress import Progress, StepError

KILL_SECONDS = 20.0
REAP_SECONDS = 3.0


def down(layout: Layout, progress: Progress) -> None:
    """Idempotent. The caller holds the lock."""
    before = machine.Snapshot.read(layout)
    layout.cluster_file.unlink(missing_ok=True)
    kill_everything(layout)
    progress.say("processes ended")
    machine.unmount_all(layout)
    machine.remove_network(before)
    if before and layout.is_isolated:
        remove_packet_filter(before)
    machine.remove_cgroups()
    progress.say("mounts, network and cgroups removed")
    if mounts := machine.mounts_below(layout):
        # A mount may lead to somebody else's files: nothing below is deleted.
        raise StepError(f"still mounted, so nothing was deleted: {', '.join(mounts)}")
    if before:
        machine.restore_settings(before)
        machine.remove_fixed_folders(before)
    if left := list(remains(layout, before)):
        raise StepError("\n".join(["the cluster is down, but this is left:", *left]))
    # Last, since a second `down` needs the snapshot if anything was left.
    shutil.rmtree(layout.root, ignore_errors=True)
    if layout.root.exists():
        raise StepError(f"{layout.root} could not be removed")
    progress.say("the cluster is down, and nothing of it is left")


def kill_everything(layout: Layout) -> None:
    """Everything at once and without mercy: its data goes as well."""
    killed: set[int] = set()
    deadline = time.monotonic() + KILL_SECONDS
    while pids := all_processes(layout):
        kill_all(pids)
        killed |= pids
        if time.monotonic() > deadline:
            raise StepError(f"processes that could not be killed: {named(pids)}")
        time.sleep(POLL_SECONDS)
    # They are dead, but may be seen as defunct until the first process of the machine looks.
    wait_while(lambda: any(Path(f"/proc/{pid}").exists() for pid in killed), REAP_SECONDS)


def all_processes(layout: Layout) -> set[int]:
    """By pid file, by mark and by cgroup: each of them misses some that another one finds."""
    recorded = {running_pid(file) for file in layout.pids.glob("*.pid")}
    return {*filter(None, recorded), *marked(layout.root), *machine.pids_in_cgroups()}


def named(pids: Iterable[int]) -> str:
    return ", ".join(f"{pid} ({' '.join(command(pid)[:1])})" for pid in pids)


def remains(layout: Layout, before: machine.Snapshot | None) -> Iterable[str]:
    """One line for each thing that `up` made and that is still there."""
    if pids := all_processes(layout):
        yield f"processes: {named(pids)}"
    yield from (f"mount: {point}" for point in machine.mounts_below(layout))
    yield from (f"cgroup: {path}" for path in machine.cgroup_folders() if path.exists())
    yield from (f"interface: {name}" for name in machine.left_interfaces(before))
    if before is None:
        return
    for name in set(machine.network_namespaces()) - set(before.network_namespaces):
        if name.startswith("cni-"):
            yield f"network namespace: {name}"
    for line in set(machine.packet_filter()) - set(before.packet_filter):
        if any(sign in line for sign in (*CHAINS, MARK, "CNI-", BRIDGE, POD_SUBNET)):
            yield f"packet filter: {line}"
    for name, value in before.kernel_settings.items():
        if machine.read_setting(name) != value:
            yield f"kernel setting: {name} is {machine.read_setting(name)}, and was {value}"
