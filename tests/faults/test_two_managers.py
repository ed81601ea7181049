"""Two managers as real processes: one works, the other waits, and a pause of the first changes nothing about that."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.github.hooks import signed_headers
from tests.kubeconfig import kubeconfig
from tests.world.manager import Manager
from tests.world.waiting import wait_until

ROOT = Path(__file__).parents[2]
SECRET = "the hook's secret"
GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
NOBODY = "http://127.0.0.1:9"
"""The discard port: nothing listens there."""
BODY = json.dumps(
    {"repository": {"full_name": "acme/shop"}, "pull_request": {"number": 2}, "number": 2}
).encode()


def configuration(manager: Manager, data: Path) -> dict[str, Any]:
    """Every outside system is down: only the door and the store are what this is about."""
    return {
        "instance": "two",
        "data_directory": str(data),
        "forge": {
            "kind": "github",
            "api_url": NOBODY,
            "token_file": str(manager.write_secret("token", "x")),
            "webhook_secret_files": [str(manager.write_secret("hook", SECRET))],
        },
        "gitops": {"url": f"{NOBODY}/acme/gitops.git"},
        "kubernetes": {
            "kubeconfig": str(
                manager.write_secret("kubeconfig", json.dumps(kubeconfig(NOBODY, "x")))
            )
        },
        "domain": {"zone": "preview.example"},
        "server": {"port": manager.port, "api_token_file": str(manager.api_token_file)},
        "projects": [
            {
                "name": "shop",
                "repository": "acme/shop",
                "deploy": {"helm": {"repository_url": f"{NOBODY}/charts.git", "path": "app"}},
                "hostname": "pr-{number}.preview.example",
            }
        ],
    }


def deliver(url: str, guid: str) -> str:
    """A webhook; the door's verdict on it."""
    headers = signed_headers("pull_request", BODY, SECRET, guid=guid)
    answer = httpx2.post(f"{url}/webhooks", content=BODY, headers=headers, timeout=60)
    assert answer.status_code == 202, answer.text
    return answer.text


@pytest.mark.fault(14)
def test_a_manager_paused_beside_a_waiting_one_goes_on_and_hands_over_in_the_end(
    tmp_path: Path,
) -> None:
    first, second = Manager(tmp_path / "first"), Manager(tmp_path / "second")
    data = tmp_path / "data"
    for manager in (first, second):
        manager.configure(configuration(manager, data))
    first.start(until_ready=False)
    waiting = start(second)
    try:
        wait_until("the second waits", lambda: "waiting for it to end" in text_of(second.log))
        paused = psutil.Process(first.pid)
        paused.suspend()
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(deliver, first.url, GUID)
            wait_until("the first stands still", lambda: paused.status() == psutil.STATUS_STOPPED)
            # The lock is the kernel's: whoever holds it keeps it however long it is paused.
            before = naps(waiting)
            wait_until("the second tried again", lambda: naps(waiting) >= before + 4)
            assert second.missing() is None
            assert not answer.done()
            paused.resume()
            assert "accepted" in answer.result(60)
        assert first.missing() is not None
        assert second.missing() is None

        first.stop()
        wait_until("the second takes over", lambda: second.missing() is not None)
        assert "duplicate" in deliver(second.url, GUID)
        assert text_of(second.log).count("waiting for it to end") == 1
        assert "Traceback" not in text_of(first.log) + text_of(second.log)
    finally:
        waiting.send_signal(signal.SIGKILL)
        waiting.wait()
        first.kill()
        first.end()
        second.end()


def start(manager: Manager) -> subprocess.Popen[bytes]:
    """Without waiting for an answer, which may never come."""
    with manager.log.open("ab") as log:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "previews", "serve"),
                *("--config", str(manager.directory / "previews.yaml")),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def naps(process: subprocess.Popen[bytes]) -> int:
    """How often it went to sleep so far: each try at the lock ends in one."""
    return int(psutil.Process(process.pid).num_ctx_switches().voluntary)


def text_of(log: Path) -> str:
    return log.read_text() if log.exists() else ""
