"""The sandbox image: the program that holds a pod's namespaces open, made here since no hub can be asked.

Written as a docker-archive, which containerd imports.
"""

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from pathlib import Path

from tests.cluster.layout import SANDBOX_IMAGE, cache_folder
from tests.cluster.progress import StepError

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PAUSE_SOURCE = """
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void stop(int number) { (void)number; _exit(0); }
static void reap(int number) { (void)number; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) {
    struct sigaction stopping = {.sa_handler = stop};
    struct sigaction reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
    sigaction(SIGINT, &stopping, 0);
    sigaction(SIGTERM, &stopping, 0);
    sigaction(SIGCHLD, &reaping, 0);
    for (;;) pause();
}
"""


def sandbox_archive() -> Path:
    """Where the archive is, or will be: in the cache, by the hash of its source."""
    digest = hashlib.sha256(PAUSE_SOURCE.encode()).hexdigest()[:12]
    return cache_folder() / f"pause-1-{digest}" / "pause.tar"


def ensure_sandbox_archive() -> Path:
    archive = sandbox_archive()
    if archive.exists():
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    program = archive.with_name("pause")
    compiled = subprocess.run(
        ["gcc", "-static", "-Os", "-s", "-x", "c", "-o", str(program), "-"],
        input=PAUSE_SOURCE.encode(),
        capture_output=True,
        check=False,
    )
    if compiled.returncode:
        raise StepError(f"gcc could not build the sandbox image: {compiled.stderr.decode()}")
    partial = archive.with_suffix(".partial")
    partial.write_bytes(docker_archive(program.read_bytes()))
    partial.rename(archive)
    return archive


def docker_archive(program: bytes) -> bytes:
    """One layer with one file, run by an unprivileged user."""
    layer = tar({"pause": (program, 0o755)})
    config = {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [SANDBOX_IMAGE], "Layers": ["layer.tar"]}]
    return tar(
        {
            "config.json": (json.dumps(config).encode(), 0o644),
            "layer.tar": (layer, 0o644),
            "manifest.json": (json.dumps(manifest).encode(), 0o644),
        }
    )


def tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (content, permissions) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), permissions
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
