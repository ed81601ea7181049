"""A real image registry for tests: the CNCF's, from Debian's package."""

import json
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import httpx2

PATIENCE_SECONDS = 20.0


class DockerRegistry:
    """The program that Debian's docker-registry package holds, over a folder of its own."""

    def __init__(self, directory: Path, auth: Mapping[str, object] | None = None) -> None:
        """`auth` as its own configuration has it; None lets everybody in."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        configuration = directory / "registry.yaml"
        configuration.write_text(
            json.dumps(
                {
                    "version": 0.1,
                    "log": {"level": "warn"},
                    "storage": {"filesystem": {"rootdirectory": str(directory / "images")}},
                    "http": {"addr": self.address},
                    **({"auth": auth} if auth else {}),
                }
            )
        )
        with (directory / "registry.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", configuration], stdout=log, stderr=log
            )
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (directory / "registry.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"http://{self.address}/v2/").status_code in {200, 401}
        except httpx2.ConnectError:
            return False
