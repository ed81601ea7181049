"""Where BIND's programs are on this machine: the system's own, or Debian's packages unpacked into the cache.

Nothing is installed on the system: `fetch` downloads what apt would install, and unpacks it as any user can.
"""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.layout import cache_folder

PACKAGES = ("bind9", "bind9-utils")
MISSING = "BIND is missing: `python -m tests.prepare` fetches Debian's package bind9"
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
_INSTALLED = re.compile(r"^Inst (\S+) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Programs:
    """BIND's programs, and what they need to find their libraries."""

    root: Path
    environment: dict[str, str]

    def path(self, name: str) -> str:
        found = shutil.which(name, path=f"{self.root}/usr/sbin:{self.root}/usr/bin")
        assert found is not None, f"{name} is not among BIND's programs"
        return found


def programs() -> Programs:
    """What there is. Skips the test, saying what to do, if there is none."""
    found = _system() or _unpacked()
    if found is None:
        pytest.skip(MISSING)
    return found


def missing() -> str:
    """What to do before a name server can be started; empty if nothing is missing."""
    return "" if _system() or _unpacked() else MISSING


def fetch() -> str | None:
    """Bring BIND here if it is not; says why it cannot be had."""
    if _system() or _unpacked():
        return None
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return "BIND is fetched with apt-get and dpkg-deb, and they are missing"
    folder = _folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as directory:
        try:
            _download_with_fresh_lists(Path(directory))
        except subprocess.CalledProcessError as error:
            return f"{' '.join(error.cmd[:2])} failed: {error.stderr.strip()[-300:]}"
        root = Path(directory, "root")
        for package in sorted(Path(directory).glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
        # In one step: another run may be doing the same.
        if not folder.exists():
            root.rename(folder)
    return None


def _download_with_fresh_lists(directory: Path) -> None:
    """From the lists that are there, and from fresh ones if these are missing or too old."""
    try:
        _download(directory)
    except subprocess.CalledProcessError:
        if os.geteuid() != 0:
            raise
        subprocess.run(["apt-get", "update", "-qq"], check=True, capture_output=True, text=True)
        _download(directory)


def _download(directory: Path) -> None:
    """The packages that apt would install on this machine: libraries that are there already are used as they are."""
    simulated = subprocess.run(
        ["apt-get", "install", "--simulate", "-qq", "--no-install-recommends", *PACKAGES],
        check=True,
        capture_output=True,
        text=True,
    )
    subprocess.run(
        ["apt-get", "download", "-qq", *_INSTALLED.findall(simulated.stdout)],
        cwd=directory,
        check=True,
        capture_output=True,
        text=True,
    )


def _system() -> Programs | None:
    has_all = all(shutil.which(each, path=_SYSTEM_PATH) for each in ("named", "dnssec-signzone"))
    return Programs(Path("/"), dict(os.environ)) if has_all else None


def _unpacked() -> Programs | None:
    root = _folder()
    if not (root / "usr/sbin/named").exists():
        return None
    libraries = {str(each.parent) for each in root.glob("usr/lib/*/lib*.so*")}
    return Programs(root, os.environ | {"LD_LIBRARY_PATH": ":".join(sorted(libraries))})


def _folder() -> Path:
    return cache_folder().parent / "bind"
