"""The door alone: signed deliveries to a manager whose forge and cluster cannot be reached, and each of them stored."""

import json
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from tests.bench.deliveries import Answered, send_at_once, send_at_rate, sign
from tests.bench.figures import Part
from tests.git_remote import GitRemote
from tests.kubeconfig import kubeconfig
from tests.world.manager import Manager, end_leftover

Say = Callable[[str], None]

REPOSITORY = "bench/door"
RATE_PER_SECOND = 50
RATE_SECONDS = 20
BUSY_PULL_REQUESTS = 100
"""What the steady deliveries are about, again and again."""
BURST = 500
BURSTS = 3
NOBODY = "127.0.0.1:9"
"""The port of the discard service, which no machine runs."""


def measure_door(part: Part, say: Say) -> None:
    """Deliveries at a steady rate, and bursts."""
    directory = Path(tempfile.gettempdir(), "previews-bench-door")
    end_leftover(directory)
    shutil.rmtree(directory, ignore_errors=True)
    manager = Manager(directory)
    try:
        secret = secrets.token_hex(20)
        manager.configure(_configuration(manager, secret))
        manager.start(until_ready=False)
        say(f"{RATE_PER_SECOND} deliveries a second for {RATE_SECONDS} s")
        numbers = (1 + n % BUSY_PULL_REQUESTS for n in range(RATE_PER_SECOND * RATE_SECONDS))
        steady = sign(REPOSITORY, numbers, secret.encode())
        answers = send_at_rate(manager.port, steady, per_second=RATE_PER_SECOND)
        part.add_all(f"door_{RATE_PER_SECOND}_per_second", (each.seconds for each in answers))
        for index in range(BURSTS):
            say(f"{BURST} deliveries at once, {index + 1} of {BURSTS}")
            burst = sign(REPOSITORY, range(1, BURST + 1), secret.encode())
            answered = send_at_once(manager.port, burst)
            part.add_all(f"door_burst_{BURST}", (each.seconds for each in answered))
            answers += answered
        _check_stored(manager, answers)
        part.set("door_stored_count", len(answers))
    finally:
        manager.end()
        shutil.rmtree(directory, ignore_errors=True)


def _check_stored(manager: Manager, answers: Sequence[Answered]) -> None:
    """Raises unless every delivery was accepted, and each is a row."""
    refused = [answer.status for answer in answers if not answer.is_accepted]
    if refused:
        raise RuntimeError(f"{len(refused)} deliveries were refused, the first with {refused[0]}")
    with closing(sqlite3.connect(manager.data / "previews.sqlite3")) as store:
        stored = {guid for (guid,) in store.execute("SELECT guid FROM delivery")}
    lost = [answer.guid for answer in answers if answer.guid not in stored]
    if lost:
        raise RuntimeError(f"{len(lost)} deliveries were accepted and are not stored")


def _configuration(manager: Manager, secret: str) -> dict[str, object]:
    gitops = GitRemote(manager.directory / "gitops")
    gitops.commit({"README.md": "# gitops\n"})
    chart = {"repository_url": gitops.url, "path": "chart"}
    return {
        "instance": "bench-door",
        "data_directory": str(manager.data),
        "forge": {
            "kind": "github",
            "api_url": f"http://{NOBODY}",
            "token_file": str(manager.write_secret("forge-token", "none")),
            "webhook_secret_files": [str(manager.write_secret("webhook-secret", secret))],
        },
        "gitops": {"url": gitops.url},
        "kubernetes": {
            "kubeconfig": str(
                manager.write_secret(
                    "kubeconfig", json.dumps(kubeconfig(f"http://{NOBODY}", "none"))
                )
            )
        },
        "domain": {"zone": "door.localhost", "scheme": "http"},
        "server": {"port": manager.port},
        "projects": [
            {
                "name": "door",
                "repository": REPOSITORY,
                "deploy": {"helm": chart},
                "hostname": "pr-{number}.door.localhost",
            }
        ],
    }
