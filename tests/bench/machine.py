"""What was measured on: the versions of everything, and how busy the machine was otherwise."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.cluster.builds import BUILDS

ROOT = Path(__file__).parents[2]
SERVERS = {"Kubernetes": "kubernetes", "Argo CD": "argocd", "Traefik": "traefik", "Gitea": "gitea"}


def versions() -> dict[str, str]:
    """Of machine, programs and this checkout."""
    return {
        "commit": _commit(),
        "Python": platform.python_version(),
        "SQLAlchemy": version("sqlalchemy"),
        "uvicorn": version("uvicorn"),
        "git": _said("git", "--version").removeprefix("git version "),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "processor": _processor(),
        "processors": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        **{name: BUILDS[build].version for name, build in SERVERS.items()},
    }


def load_average() -> float:
    """Of the last minute: this run's own work, and whatever else the machine did."""
    return round(os.getloadavg()[0], 1)


def _commit() -> str:
    commit = _said("git", "rev-parse", "--short", "HEAD") or "none yet"
    return f"{commit}, with changes" if _said("git", "status", "--porcelain") else commit


def _said(*command: str) -> str:
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == 0 else ""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, text = line.partition(":")
        if name.strip() == "model name":
            return text.strip()
    return platform.processor() or "unknown"
