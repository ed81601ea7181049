"""From an image to an honest green: when the gate opens, when Live is said, and when it is said what is wrong.

The previews are the sample application's. They have waited for a while when their images come, as they do for a CI.
"""

import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx2

from tests.bench.figures import Part
from tests.bench.sampling import eventually
from tests.cluster import RunningCluster
from tests.world.pull_request import Page, PullRequest
from tests.world.visitor import OK
from tests.world.world import World, WorldOptions

Say = Callable[[str], None]

OPTIONS = WorldOptions(
    name="bench-gate",
    project="bench-gate-shop",
    hostname="pr-{number}.benchgate.localhost",
)
BUILD_SECONDS = 40.0
"""How long CI takes at least: the longer an image is waited for, the more seldom it is asked for."""
AT_ONCE = 10
IMAGES_TOKEN = secrets.token_hex(16)
NOWHERE = "nowhere/shop"
"""A repository that the gate is not told of, and the pods are."""
BACK_OFF = {"ErrImagePull", "ImagePullBackOff"}

Object = dict[str, Any]


def measure_gate(cluster: RunningCluster, part: Part, say: Say, samples: int) -> None:
    """Half of the samples with an event of the registry, half without; then pods that cannot pull."""
    with World(cluster, OPTIONS) as world:
        world.spare_tag()
        token = str(world.manager.write_secret("images-token", IMAGES_TOKEN))
        world.reconfigure(lambda known: known["server"].update(images_token_file=token))
        world.manager.start()
        for stage, tells in (("pushed_to_open_gate", False), ("told_to_open_gate", True)):
            say(f"{samples} images, {'with' if tells else 'without'} an event of the registry")
            for start in range(0, samples, AT_ONCE):
                count = min(AT_ONCE, samples - start)
                _measure_gates(world, part, f"{stage}-{start}", count, tells=tells)
        say(f"{samples} pods that cannot pull")
        world.manager.stop()
        _pull_from_nowhere(world)
        world.manager.start()
        for number in range(samples):
            _measure_cause(world, part, f"stuck-{number}")


def _measure_gates(world: World, part: Part, name: str, count: int, *, tells: bool) -> None:
    began = time.monotonic()
    waiting = [_without_image(world, f"{name}-{number}") for number in range(count)]
    for each in waiting:
        each.wait_until_phase("WaitingForImage")
    eventually("CI is done", lambda: time.monotonic() - began > BUILD_SECONDS)
    stage = "told_to_open_gate" if tells else "pushed_to_open_gate"
    for each in waiting:
        pushed = time.monotonic()
        each.borrow_image()
        if tells:
            _tell(world, each)
        _wait_until_open(each)
        part.add_all(stage, [time.monotonic() - pushed])
        _measure_green(part, each)
    for each in waiting:
        each.close()
    for each in waiting:
        each.wait_until_removed()


def _wait_until_open(pull_request: PullRequest) -> None:
    eventually("the gate opens", lambda: pull_request.phase() != "WaitingForImage")


def _without_image(world: World, branch: str) -> PullRequest:
    return world.open_pull_request(branch, Page(branch, "It waits."), image=False)


def _tell(world: World, pull_request: PullRequest) -> None:
    """As a registry of the CNCF's tells it."""
    repository = world.images.reference.partition("/")[2]
    target = {"repository": repository, "tag": pull_request.tag}
    httpx2.post(
        f"{world.manager.url}/webhooks/registry",
        json={"events": [{"action": "push", "target": target}]},
        headers={"authorization": f"Bearer {IMAGES_TOKEN}"},
        trust_env=False,
    ).raise_for_status()


def _measure_green(part: Part, pull_request: PullRequest) -> None:
    """From the first answer of the page to the word Live."""
    eventually("the page answers", lambda: pull_request.page().status == OK)
    answered = time.monotonic()
    eventually("it is said to be live", lambda: pull_request.phase() == "Live")
    part.add_all("answers_to_live", [time.monotonic() - answered])


def _measure_cause(world: World, part: Part, branch: str) -> None:
    """From Kubernetes' word to ours."""
    pull_request = world.open_simple_pull_request(branch)
    eventually("a pod cannot pull", lambda: bool(_reasons(world, pull_request) & BACK_OFF))
    known = time.monotonic()
    eventually(
        "the reason has its name",
        lambda: pull_request.preview().get("reason") == "ImagePullFailed",
    )
    part.add_all("cannot_pull_to_reason", [time.monotonic() - known])
    pull_request.close()
    pull_request.wait_until_removed()


def _reasons(world: World, pull_request: PullRequest) -> set[str]:
    """Why containers wait."""
    pods = world.kubernetes.list(f"/api/v1/namespaces/{pull_request.names.namespace}/pods")
    states = [
        status.get("state", {})
        for pod in pods
        for status in pod.get("status", {}).get("containerStatuses", [])
    ]
    return {state["waiting"].get("reason", "") for state in states if "waiting" in state}


def _pull_from_nowhere(world: World) -> None:
    """The gate sees an image; the pods name another repository."""
    registry = world.images.reference.partition("/")[0]
    elsewhere = {"image.repository": f"{registry}/{NOWHERE}"}
    world.reconfigure(
        lambda known: known["projects"][0]["deploy"]["helm"].update(parameters=elsewhere)
    )
