"""Whether this machine can run the cluster at all, found without touching anything."""

import importlib.util
import os
import platform
import shutil
import socket
import sys
from pathlib import Path

from tests.cluster.debian_packages import missing_packages
from tests.cluster.go_builds import missing_builds
from tests.cluster.image import ARCHITECTURES
from tests.cluster.layout import (
    API_PORT,
    DIRECTORY_VARIABLE,
    ETCD_PORT,
    GITEA_PORT,
    INGRESS_PORT,
    LOOPBACK,
    NODE_IP,
    REDIS_PORT,
    REGISTRY_PORT,
    Layout,
    configured_layout,
)
from tests.cluster.machine import other_cluster

PORTS = (API_PORT, ETCD_PORT, GITEA_PORT, INGRESS_PORT, REDIS_PORT, REGISTRY_PORT)
# A unix socket's path may have 108 bytes, and the longest name below the state folder has about 50.
STATE_FOLDER_LENGTH_MAX = 55
DISK_GIB_TO_BUILD = 15
DISK_GIB_TO_RUN = 2


def preflight(*, is_isolated: bool = False) -> str | None:
    """One line that says why the cluster cannot run here, or None."""
    layout = configured_layout()
    return (
        unsuitable_machine(layout)
        or unsuitable_kernel()
        or unobtainable_programs(is_isolated=is_isolated)
        or occupied_cgroup(layout)
        or occupied_address(layout)
    )


def unsuitable_machine(layout: Layout) -> str | None:
    if sys.platform != "linux":
        return f"the local cluster needs Linux, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "the local cluster needs root (containers, network namespaces and mounts)"
    if platform.machine() not in ARCHITECTURES:
        return f"the local cluster was never built for {platform.machine()}"
    if len(str(layout.root)) > STATE_FOLDER_LENGTH_MAX:
        return f"the state folder {layout.root} has too long a path for unix sockets"
    return None


def unsuitable_kernel() -> str | None:
    mounts = Path("/proc/self/mounts").read_text()
    if " cgroup2 " not in mounts and " cgroup " not in mounts:
        return "no cgroup hierarchy is mounted (the kubelet needs cpu, cpuset, memory and pids)"
    if not Path("/dev/kmsg").exists():
        return "/dev/kmsg is missing (the kubelet reads it)"
    return None


def unobtainable_programs(*, is_isolated: bool) -> str | None:
    to_build = missing_builds(is_isolated=is_isolated)
    packages = missing_packages(to_build=bool(to_build), is_isolated=is_isolated)
    if packages and shutil.which("apt-get") is None:
        return f"apt-get is missing, and so are the Debian packages {' '.join(packages)}"
    has_pip = importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")
    if to_build and shutil.which("go") is None and not has_pip:
        return "neither Go nor Python's venv module is there, and programs must be built"
    free_gib = shutil.disk_usage("/").free / 2**30
    needed_gib = DISK_GIB_TO_BUILD if to_build else DISK_GIB_TO_RUN
    if free_gib < needed_gib:
        return f"{needed_gib} GiB of disk are needed, and {free_gib:.1f} are free"
    return None


def occupied_cgroup(layout: Layout) -> str | None:
    other = other_cluster(layout)
    if other is None:
        return None
    return f"another cluster runs on this machine, with {DIRECTORY_VARIABLE}={other}"


def occupied_address(layout: Layout) -> str | None:
    """Another program on one of the ports; a cluster that runs already is no other program."""
    if layout.pids.is_dir():
        return None
    for port in PORTS:
        with socket.socket() as probe:
            # Closed connections that linger are no reason to refuse.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return f"{LOOPBACK}:{port} is taken by another program"
    if f"{NODE_IP.rpartition('.')[0]}." in Path("/proc/net/fib_trie").read_text():
        return f"the network of {NODE_IP} is in use on this machine"
    return None
