"""What the cluster changes on the machine around its state folder, and how each of it is undone.

One bridge, one cgroup, some kernel settings, and a few folders whose places are fixed in containerd and the kubelet.
A snapshot from before the first start says what was there already: that is restored, and never removed.
"""

import contextlib
import json
import os
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.layout import BRIDGE, CGROUP, NODE_IP, POD_SUBNET, Layout
from tests.cluster.processes import mark_of
from tests.cluster.progress import StepError

# Set by the kubelet and by the bridge plugin as they start.
KERNEL_SETTINGS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
# Fixed in containerd (sockets of its shims), libcni (results), the kubelet (links to logs, plugins) and Calico.
FIXED_FOLDERS = (
    "/run/calico",
    "/var/lib/calico",
    "/var/log/calico",
    "/run/containerd",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/opt/cni",
    "/usr/libexec/kubernetes",
)
PACKET_FILTERS = ("iptables", "ip6tables")
NETWORK_NAMESPACES = Path("/run/netns")
LINKS = Path("/sys/class/net")
GATEWAY = "169.254.1.1"
"""What Calico tells each pod that its way out is."""
SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class Snapshot:
    """The machine before the cluster."""

    interfaces: list[str]
    network_namespaces: list[str]
    packet_filter: list[str]
    kernel_settings: dict[str, str]
    folders: list[str]

    @classmethod
    def take(cls) -> "Snapshot":
        return cls(
            interfaces=interfaces(),
            network_namespaces=network_namespaces(),
            packet_filter=packet_filter(),
            kernel_settings={name: read_setting(name) for name in KERNEL_SETTINGS},
            folders=[folder for folder in FIXED_FOLDERS if Path(folder).exists()],
        )

    @classmethod
    def read(cls, layout: Layout) -> "Snapshot | None":
        try:
            return cls(**json.loads(layout.snapshot_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, layout: Layout) -> None:
        partial = layout.snapshot_file.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=2))
        partial.replace(layout.snapshot_file)


def interfaces() -> list[str]:
    return sorted(path.name for path in LINKS.iterdir())


def network_namespaces() -> list[str]:
    if not NETWORK_NAMESPACES.is_dir():
        return []
    return sorted(path.name for path in NETWORK_NAMESPACES.iterdir())


def packet_filter() -> list[str]:
    """Rules and chains without their counters; nothing where iptables is not installed."""
    saved = [line for each in PACKET_FILTERS for line in saved_packet_filter(each).splitlines()]
    lines = (line.split(" [")[0] for line in saved if not line.startswith("#"))
    return sorted(set(lines))


def saved_packet_filter(family: str) -> str:
    program = shutil.which(f"{family}-save", path="/usr/sbin:/sbin:/usr/bin")
    if program is None:
        return ""
    return subprocess.run([program], capture_output=True, text=True, check=False).stdout


def read_setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""


def cgroup_folders() -> list[Path]:
    """The cluster's cgroup in every hierarchy of the machine."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(mount[1], CGROUP) for mount in mounts if mount[2] in {"cgroup", "cgroup2"}]


def server_cgroup() -> Path | None:
    """Where the servers are gathered: in version 2, or else where it limits nothing."""
    folders = cgroup_folders()
    version_2 = [it for it in folders if (it.parent / "cgroup.controllers").exists()]
    harmless = [it for it in folders if it.parent.name in {"pids", "freezer"}]
    return next((folder / "servers" for folder in (*version_2, *harmless)), None)


def add_to_cgroup(pid: int) -> None:
    """A process may write over its environment; it cannot leave its cgroup, nor can its children."""
    if folder := server_cgroup():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.procs").write_text(str(pid))


def ensure_pod_network(*, is_isolated: bool) -> None:
    """The bridge has the node's address, also where no pod hangs on it."""
    if not (LINKS / BRIDGE).exists():
        ip("link", "add", BRIDGE, "type", "bridge")
    ip("address", "replace", f"{NODE_IP}/{POD_SUBNET.partition('/')[2]}", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")
    if is_isolated:
        # The node answers for this address on every pod's interface, if it knows a way to it.
        ip("route", "replace", f"{GATEWAY}/32", "dev", BRIDGE)


def ip(*arguments: str) -> None:
    ended = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise StepError(f"ip {' '.join(arguments)} failed: {ended.stderr.strip()}")


def ensure_cgroups() -> None:
    """The kubelet expects its root cgroup to exist."""
    for folder in cgroup_folders():
        if (folder.parent / "cgroup.controllers").exists():
            delegate_controllers(folder.parent)
        # A controller may be mounted read-only where nothing needs it.
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)


def delegate_controllers(parent: Path) -> None:
    """On cgroup v2 a child has only the controllers that its parent passes on."""
    available = (parent / "cgroup.controllers").read_text().split()
    for controller in available:
        with contextlib.suppress(OSError):
            (parent / "cgroup.subtree_control").write_text(f"+{controller}")


def pids_in_cgroups() -> list[int]:
    """Every server, and every process of every pod."""
    found: set[int] = set()
    for folder in cgroup_folders():
        for file in folder.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(int(pid) for pid in file.read_text().split())
    return sorted(found - {0, os.getpid()})


def other_cluster(layout: Layout) -> str | None:
    """The state folder of a cluster that is not this one: there is one cgroup, and one bridge."""
    marks = filter(None, (mark_of(pid) for pid in pids_in_cgroups()))
    roots = {found.rpartition(":")[0] for found in marks} - {str(layout.root)}
    return min(roots, default=None)


def remove_cgroups() -> None:
    """The kernel frees an empty cgroup only after its last process is reaped."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while remaining := [folder for folder in cgroup_folders() if folder.exists()]:
        for folder in remaining:
            nested = [entry for entry in folder.rglob("*") if entry.is_dir()]
            for child in (*sorted(nested, key=lambda it: -len(it.parts)), folder):
                with contextlib.suppress(OSError):
                    child.rmdir()
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


def mounts_below(layout: Layout) -> list[str]:
    """Mount points that belong to the cluster, the innermost first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if Path(point).is_relative_to(layout.root):
            found.append(point)
    return found[::-1]


def unmount_all(layout: Layout) -> None:
    for point in mounts_below(layout):
        # Lazily: a mount that something still holds goes when that ends.
        subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)


def remove_network(before: Snapshot | None) -> None:
    """Interfaces of pods go with their namespaces, a moment after the last process in them."""
    if (LINKS / BRIDGE).exists():
        ip("link", "delete", BRIDGE)
    deadline = time.monotonic() + SETTLE_SECONDS
    while left_interfaces(before) and time.monotonic() < deadline:
        time.sleep(0.05)


def left_interfaces(before: Snapshot | None) -> list[str]:
    """The bridge, and ends of pods' interfaces: new, and on nobody else's bridge."""
    left = [BRIDGE] if (LINKS / BRIDGE).exists() else []
    if before:
        new = set(interfaces()) - set(before.interfaces)
        left += [name for name in new if name.startswith(("veth", "cali")) and not has_bridge(name)]
    return left


def has_bridge(interface: str) -> bool:
    return (LINKS / interface / "master").exists()


def restore_settings(before: Snapshot) -> None:
    for name, value in before.kernel_settings.items():
        if value and read_setting(name) != value:
            Path("/proc/sys", name).write_text(value)


def remove_fixed_folders(before: Snapshot) -> None:
    for folder in FIXED_FOLDERS:
        if folder not in before.folders:
            shutil.rmtree(folder, ignore_errors=True)
