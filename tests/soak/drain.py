"""The project goes: its last preview is taken away without its configuration, and what the project had with it."""

import json

import httpx2

from previews.domain.preview import Phase
from tests.bench.rig import PROJECT, Rig
from tests.soak.forge import SoakForge
from tests.world.manager import Manager
from tests.world.waiting import wait_until

ELSEWHERE = "elsewhere"
"""The project that stays: a manager without any does not start."""
SECONDS = 300.0


def drain(rig: Rig, forge: SoakForge, life: int) -> None:
    """One more life, that this ends. Raises NotSeenError, and httpx2.HTTPError where the manager refuses."""
    manager = rig.manager
    number = forge.open_pull_request(life)
    wait_until(
        "the last one is live", lambda: _phase(manager, number) is Phase.LIVE, seconds=SECONDS
    )
    manager.stop()
    take_project_out(manager)
    manager.start()
    order_drain(manager)
    wait_until(
        "the last one is removed", lambda: _phase(manager, number) is Phase.REMOVED, seconds=SECONDS
    )
    forge.set_open(number, is_open=False)


def _phase(manager: Manager, number: int) -> Phase | None:
    found = manager.preview(PROJECT, number)
    return Phase(found["phase"]) if found else None


def order_drain(manager: Manager) -> None:
    """As `previews drain` does it. Raises httpx2.HTTPError unless it is taken."""
    httpx2.post(
        f"{manager.url}/api/v1/projects/{PROJECT}/drain",
        json={"actor": "somebody"},
        headers={"authorization": f"Bearer {manager.api_token}"},
        trust_env=False,
    ).raise_for_status()


def take_project_out(manager: Manager) -> None:
    """Of its configuration, where another comes into its place. Takes effect at the next start."""
    configuration = json.loads((manager.directory / "previews.yaml").read_text())
    [project] = configuration["projects"]
    owner, _, _ = project["repository"].partition("/")
    other = {
        **project,
        "name": ELSEWHERE,
        "repository": f"{owner}/{ELSEWHERE}",
        "hostname": f"{ELSEWHERE}-{project['hostname']}",
    }
    manager.configure({**configuration, "projects": [other]})
