"""One sweep over ten thousand namespaces: how long it takes, and how much memory its process ever had."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.apiserver import APIServer, serving
from tests.bench.figures import Part

Say = Callable[[str], None]

PREVIEWS = 10_000
ORPHANS = 10
"""Of them; what one sweep removes at most."""
INSTANCE = "bench-collect"
PROJECT = "shop"
CLIENTS = 8
SWEEP_SECONDS = 600.0


def measure_collect(part: Part, say: Say, _samples: int) -> None:
    """Against an API server of its own; the sweep is made by a process of its own (tests/bench/collecting.py)."""
    directory = Path(tempfile.mkdtemp(prefix="previews-bench-collect-"))
    try:
        with serving(directory) as server:
            say(f"creating {PREVIEWS} namespaces")
            _create_all(server)
            say("sweeping")
            found = _sweep(server.kubeconfig(), directory)
            left = len(_names(server))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if found["removed"] != ORPHANS or left != PREVIEWS - ORPHANS:
        raise RuntimeError(f"removed {found['removed']} and left {left} of {PREVIEWS} namespaces")
    part.set(f"collect_{PREVIEWS}_seconds", max(found["sweeps_seconds"]))
    part.set(f"collect_{PREVIEWS}_peak_mib", found["peak_mib"])
    part.set(f"collect_{PREVIEWS}_before_mib", found["before_mib"])
    part.set(f"collect_{PREVIEWS}_found_count", found["found"])
    part.set(f"collect_{PREVIEWS}_removed_count", found["removed"])


def namespace_name(number: int) -> str:
    return f"preview-{PROJECT}-pr-{number}"


def _create_all(server: APIServer) -> None:
    def create(number: int) -> None:
        labels = {
            "previews.dev/instance": INSTANCE,
            "previews.dev/project": PROJECT,
            "pr": str(number),
            "preview": "true",
        }
        metadata = {"name": namespace_name(number), "labels": labels}
        answer = server.client.post("/api/v1/namespaces", json={"metadata": metadata})
        answer.raise_for_status()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(create, range(1, PREVIEWS + 1)))


def _names(server: APIServer) -> set[str]:
    """Those that nobody is deleting: without controllers the others stay for ever."""
    found = server.client.get(
        "/api/v1/namespaces", params={"labelSelector": f"previews.dev/instance={INSTANCE}"}
    )
    items = found.raise_for_status().json()["items"]
    return {
        each["metadata"]["name"] for each in items if "deletionTimestamp" not in each["metadata"]
    }


def _sweep(kubeconfig: Path, directory: Path) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.bench.collecting", str(kubeconfig), str(directory)],
        capture_output=True,
        text=True,
        timeout=SWEEP_SECONDS,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"the sweep failed: {ended.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found
