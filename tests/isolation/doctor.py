"""`previews doctor --isolation`, as an administrator runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cluster import RunningCluster

DOCTOR_SECONDS = 300.0


def isolation_findings(
    cluster: RunningCluster, configuration: Path, image: str
) -> list[dict[str, Any]]:
    """What it says of isolation. The rest of its checks are not of this cluster."""
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "previews", "doctor", f"--config={configuration}", "--json"),
            *("--isolation", f"--image={image}", f"--kubeconfig={cluster.kubeconfig}"),
        ],
        capture_output=True,
        text=True,
        timeout=DOCTOR_SECONDS,
        check=False,
    )
    assert ended.stdout, ended.stderr
    return [each for each in json.loads(ended.stdout) if each["check"] == "isolation"]
