"""What the cluster takes from Debian: servers that are not built here, and the tools that `up` calls.

A package is asked for only if one of its files is missing, whoever put the file there. The services that come with
the packages are neither started nor enabled: the cluster runs the programs itself, and `down` leaves none behind.
"""

import os
import shutil
import subprocess
from pathlib import Path

from tests.cluster.go_builds import raise_if_failed
from tests.cluster.image import sandbox_archive
from tests.cluster.layout import cache_folder
from tests.cluster.progress import CannotRunError, Progress

RUN_FILES = {
    # package: a program on PATH, or a path
    "busybox-static": "/bin/busybox",  # in the image of pods that try what they reach
    "containerd": "containerd",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "docker-registry": "docker-registry",
    "etcd-server": "etcd",
    "git": "git",
    "iproute2": "ip",
    "openssl": "openssl",
    "redis-server": "redis-server",
    "runc": "runc",
}
ISOLATION_FILES = {
    "conntrack": "conntrack",
    "ipset": "ipset",
    "iptables": "iptables",
}
BUILD_FILES = {"gcc": "gcc", "libc6-dev": "/usr/include/stdio.h"}
SERVICES = {
    "containerd": "containerd",
    "docker-registry": "docker-registry",
    "etcd-server": "etcd",
    "redis-server": "redis-server",
}
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = (
    "#!/bin/sh\n# Written by previews while it installs packages: start no service.\nexit 101\n"
)
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing_packages(*, to_build: bool, is_isolated: bool = False) -> list[str]:
    wanted = RUN_FILES | ISOLATION_FILES if is_isolated else dict(RUN_FILES)
    if to_build or not sandbox_archive().exists():
        wanted |= BUILD_FILES
    return [package for package, file in wanted.items() if not is_there(file)]


def is_there(file: str) -> bool:
    if file.startswith("/"):
        return Path(file).exists()
    return shutil.which(file, path=SYSTEM_PATH) is not None


def ensure_packages(progress: Progress, *, to_build: bool, is_isolated: bool) -> None:
    packages = missing_packages(to_build=to_build, is_isolated=is_isolated)
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise CannotRunError(f"apt-get is missing, and so are the packages {' '.join(packages)}")
    progress.say(f"installing Debian packages: {' '.join(packages)}")
    log = cache_folder() / "apt.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    written = not POLICY.exists()
    if written:
        POLICY.write_text(POLICY_TEXT)
        POLICY.chmod(0o755)
    try:
        install(packages, log)
    finally:
        if written or POLICY.read_text() == POLICY_TEXT:
            POLICY.unlink()
        leave_services_stopped(packages)


def install(packages: list[str], log: Path) -> None:
    """From the lists that are there, and from fresh ones if these are missing or too old."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("wb") as output:
        for step in (command, ["apt-get", "update"], command):
            ended = subprocess.run(
                step,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
            if step is command and ended.returncode == 0:
                return
    raise_if_failed(ended.returncode, "apt-get install", log)


def leave_services_stopped(packages: list[str]) -> None:
    """Where systemd runs, also at the next boot; a policy of the machine's own may have started one."""
    if not Path("/run/systemd/system").exists():
        return
    for package in packages:
        if package in SERVICES:
            subprocess.run(
                ["systemctl", "disable", "--now", SERVICES[package]],
                capture_output=True,
                check=False,
            )
