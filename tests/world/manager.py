"""The manager as a process of its own: `previews serve` with a configuration file, started, stopped and killed."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2

from tests.cluster.processes import PidFile
from tests.cluster.progress import tail
from tests.world.waiting import wait_until

STOP_SECONDS = 40.0
"""Twice what the manager gives its threads to finish."""
READY_SECONDS = 90.0
UNAVAILABLE = 503
NOT_FOUND = 404
LOOPBACK = "127.0.0.1"

Object = dict[str, Any]


class Manager:
    """One manager, whatever process it is at present. Its directory holds configuration, secrets, data and log."""

    def __init__(self, directory: Path, host: str = LOOPBACK) -> None:
        self.directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.host = host
        self.port = free_port(host)
        self.url = f"http://{host}:{self.port}"
        self.log = directory / "manager.log"
        self.data = directory / "data"
        self.api_token = secrets.token_hex(16)
        self.api_token_file = self.write_secret("api-token", self.api_token)
        self.program: Sequence[str] = ("previews", "serve")
        """The module that is run, and what it is given before its configuration."""
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx2.Client(base_url=self.url, trust_env=False, timeout=10)

    def write_secret(self, name: str, text: str) -> Path:
        """A file that only its owner may read."""
        file = self.directory / name
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
            opened.write(text)
        return file

    def configure(self, configuration: Mapping[str, Any]) -> None:
        """Takes effect at the next start."""
        self.write_secret("previews.yaml", json.dumps(configuration, indent=2))  # JSON is YAML

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the manager was not started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, until_ready: bool = True) -> None:
        """Start the process, and wait until it says that nothing is missing, or only until it answers."""
        environment = {
            "PATH": os.defpath,
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            # What the manager itself is run with in a container: it never needs more.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", *self.program]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--config", str(self.directory / "previews.yaml")],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).parents[2],
                # Ctrl-C in the terminal is for whoever started the manager, who then ends it in order.
                start_new_session=True,
            )
        if started := PidFile.of(self._process.pid):
            started.write(self.directory / "manager.pid")
        wait_until(
            "the manager is ready" if until_ready else "the manager answers",
            lambda: self._has_come_up(until_ready=until_ready),
            seconds=READY_SECONDS,
            explain=self.log_tail,
        )

    def stop(self) -> None:
        """SIGTERM, as Kubernetes does it. Raises unless it ends in order."""
        if self._process is None or not self.is_running:
            return
        self._process.terminate()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"the manager did not end within {STOP_SECONDS:g} s of SIGTERM\n{self.log_tail()}"
            ) from None
        if code != 0:
            raise AssertionError(f"the manager ended with exit code {code}\n{self.log_tail()}")

    def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is said."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """Be gone, in order or not."""
        with contextlib.suppress(AssertionError):
            self.stop()
        self._client.close()

    def missing(self) -> dict[str, str] | None:
        """What /readyz says is missing; None while the manager does not answer at all."""
        try:
            answer = self._client.get("/readyz")
        except httpx2.HTTPError:
            return None
        missing: dict[str, str] = answer.json()["missing"]
        return missing

    def preview(self, project: str, number: int) -> Object | None:
        """One preview as the API shows it; None if it knows none."""
        answer = self._ask(f"/api/v1/previews/{project}/{number}")
        return None if answer.status_code == NOT_FOUND else answer.raise_for_status().json()

    def previews(self) -> list[Object]:
        """All of them, page after page."""
        found: list[Object] = []
        cursor: str | None = None
        while True:
            page = self._ask("/api/v1/previews", limit=500, cursor=cursor).raise_for_status().json()
            found += page["previews"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    def act(self, project: str, number: int, action: str, **said: str) -> None:
        """Ask the API for something to happen to a preview: sleep, wake, extend, ..."""
        path = f"/api/v1/previews/{project}/{number}/{action}"
        order = {"actor": "a test", **said}
        self._client.post(path, json=order, headers=self._bearer).raise_for_status()

    def log_tail(self, lines: int = 60) -> str:
        return "\n".join([f"--- the end of {self.log}:", *tail(self.log, lines)])

    def _ask(self, path: str, **parameters: str | int | None) -> httpx2.Response:
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._client.get(path, params=given, headers=self._bearer)

    @property
    def _bearer(self) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.api_token}"}

    def _has_come_up(self, *, until_ready: bool) -> bool:
        if not self.is_running:
            raise AssertionError(f"the manager ended while it was starting\n{self.log_tail()}")
        missing = self.missing()
        return missing == {} if until_ready else missing is not None


def end_leftover(directory: Path) -> None:
    """End the manager that a killed run left in this directory, and no other process."""
    left = PidFile.read(directory / "manager.pid")
    if left and left.is_running():
        os.kill(left.pid, signal.SIGKILL)
        wait_until("the manager of an earlier run is gone", lambda: not left.is_running())


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port
