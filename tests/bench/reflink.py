"""A file system whose files share their blocks, for as long as a measurement takes: XFS in an image on a loop device.

Needs root, since it mounts. What a killed run left mounted, the next one takes away.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "previews-bench-reflink-"
_GIB = 2**30


def missing(needed_gib: float) -> str:
    """Why there can be none here; empty if there can. `needed_gib` is what will be written to it."""
    if os.geteuid() != 0:
        return "mounting a file system needs root"
    if not shutil.which("mkfs.xfs"):
        return "mkfs.xfs is missing: install the Debian package xfsprogs"
    if not Path("/dev/loop-control").exists():
        return "this machine has no loop devices"
    free_gib = shutil.disk_usage(tempfile.gettempdir()).free / _GIB
    if free_gib < needed_gib:
        return f"{tempfile.gettempdir()} has {free_gib:.0f} GiB left, and {needed_gib:g} are needed"
    return ""


@contextmanager
def reflink_directory(size_gib: int) -> Iterator[Path]:
    """An empty directory on it. The image takes up what is written, at most `size_gib`. Raises RuntimeError."""
    _take_away_leftovers()
    directory = Path(tempfile.gettempdir(), f"{_PREFIX}{os.getpid()}")
    image, mounted = directory / "image", directory / "mounted"
    mounted.mkdir(parents=True)
    try:
        with image.open("wb") as file:
            file.truncate(size_gib * _GIB)
        _run("mkfs.xfs", "-q", "-m", "reflink=1", str(image))
        _run("mount", "-o", "loop,nosuid,nodev", str(image), str(mounted))
        # A server's own user has to get there.
        mounted.chmod(0o755)
        yield mounted
    finally:
        _take_away(directory)


def _take_away_leftovers() -> None:
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = directory.name.removeprefix(_PREFIX)
        if not Path("/proc", pid).exists():
            _take_away(directory)


def _take_away(directory: Path) -> None:
    mounted = directory / "mounted"
    if mounted.is_mount():
        try:
            _run("umount", str(mounted))
        except RuntimeError:
            # Somebody is still in there: it goes when they do.
            _run("umount", "--lazy", str(mounted))
    shutil.rmtree(directory)


def _run(*command: str) -> None:
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    if ended.returncode:
        raise RuntimeError(f"{command[0]} failed: {ended.stderr.strip()}")
