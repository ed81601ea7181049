"""What sleep saves, and what waking costs: one preview of the sample application asleep and awake again and again, and
then two hundred of them asleep, each of which ran a pod before."""

import time
from collections.abc import Callable, Iterator, Sequence

from tests.bench.figures import Part
from tests.bench.meter import Meter
from tests.bench.sampling import eventually
from tests.cluster import RunningCluster
from tests.world.pull_request import PullRequest
from tests.world.visitor import OK, Answer, Visitor, ask
from tests.world.waiting import wait_until
from tests.world.world import World, WorldOptions

Say = Callable[[str], None]

OPTIONS = WorldOptions(
    name="bench-sleep",
    project="bench-sleep-shop",
    hostname="pr-{number}.benchsleep.localhost",
    waiting=True,
)
ROBOT = "kube-probe/1.34"
"""Wakes nobody."""
ASLEEP = 200
WAVE = 8
"""Previews that come at once; while they do, those before them may still be falling asleep."""
IDLE_SECONDS = 60.0


def measure_sleep(cluster: RunningCluster, part: Part, say: Say, samples: int) -> None:
    """`samples` rounds with one preview, and then many that do nothing."""
    with World(cluster, OPTIONS) as world:
        world.manager.start()
        eventually("the ingress knows the wildcard", lambda: _is_wildcard_known(world))
        first = world.open_simple_pull_request("round")
        first.wait_until_live()
        say(f"{samples} rounds of falling asleep and waking up")
        wrong = [answer for _ in range(samples) for answer in _measure_round(world, first, part)]
        part.set("asleep_wrong_answers_count", len(wrong))
        if wrong:
            say(f"visitors saw, besides page and waiting page: {wrong[:10]}")
        say(f"putting {ASLEEP} to sleep, {WAVE} at a time")
        _act(world, first, "sleep")
        idle = [first, *_put_to_sleep(world, ASLEEP - 1)]
        eventually(f"{ASLEEP} are asleep", lambda: _phases(world) == {"Asleep": ASLEEP})
        _measure_idle(world, part, say)
        say("closing all of them at once")
        _drain(world, idle, part)


def _measure_round(world: World, pull_request: PullRequest, part: Part) -> list[str]:
    """Asleep, and awake again. Returns every answer that was neither the page nor the waiting page."""
    with Visitor(pull_request.url, user_agent=ROBOT) as robot:
        began = time.monotonic()
        _act(world, pull_request, "sleep")
        wait_until(
            "the waiting page answers",
            lambda: robot.visits and _is_waiting(robot.visits[-1]),
            explain=pull_request.explain,
        )
        part.add_all("awake_to_waiting_page", [time.monotonic() - began])
        pull_request.wait_until_phase("Asleep")
        wait_until("no pod is left", lambda: pull_request.tags_of_pods() == set())
    with Visitor(pull_request.url) as visitor:
        # The first visit wakes it.
        began = time.monotonic()
        wait_until(
            "the page answers",
            lambda: visitor.visits and visitor.visits[-1].status == OK,
            explain=pull_request.explain,
        )
        part.add_all("asleep_to_page", [time.monotonic() - began])
        pull_request.wait_until_live()
    return [str(each) for each in (*robot.visits, *visitor.visits) if not _is_expected(each)]


def _put_to_sleep(world: World, count: int) -> Iterator[PullRequest]:
    """Open them, and send each to sleep as soon as it is live: its page is not asked for, since that is a visit."""
    for start in range(0, count, WAVE):
        numbers = range(start, min(start + WAVE, count))
        wave = [world.open_simple_pull_request(f"idle-{number}") for number in numbers]
        for each in wave:
            each.wait_until_phase("Live")
            _act(world, each, "sleep")
        yield from wave


def _measure_idle(world: World, part: Part, say: Say) -> None:
    eventually("no pod is left", lambda: _pods(world) == 0)
    meter = Meter(world.manager)
    meter.wait_until_quiet()
    part.set(f"asleep_{ASLEEP}_rss_mib", meter.rss_mib())
    say(f"for {IDLE_SECONDS:g} s nothing changes")
    before = _commits(world)
    own, commands = meter.cpu_percent(IDLE_SECONDS)
    part.set(f"asleep_{ASLEEP}_cpu_percent", own)
    part.set(f"asleep_{ASLEEP}_cpu_of_git_percent", commands)
    part.set(f"asleep_{ASLEEP}_commits_count", _commits(world) - before)
    part.set(f"asleep_{ASLEEP}_pods_count", _pods(world))


def _drain(world: World, pull_requests: Sequence[PullRequest], part: Part) -> None:
    began = time.monotonic()
    for each in pull_requests:
        each.close()
    eventually(
        f"nothing is left of {len(pull_requests)} previews",
        lambda: set(_phases(world)) == {"Removed"} and not _namespaces(world),
    )
    part.set(f"asleep_{ASLEEP}_drain_seconds", time.monotonic() - began)


def _act(world: World, pull_request: PullRequest, action: str) -> None:
    world.manager.act(pull_request.key.project, pull_request.number, action)


def _phases(world: World) -> dict[str, int]:
    phases = [each["phase"] for each in world.manager.previews()]
    return {phase: phases.count(phase) for phase in phases}


def _namespaces(world: World) -> set[str]:
    found = world.kubernetes.list("/api/v1/namespaces", instance=world.options.name)
    return {each["metadata"]["name"] for each in found}


def _pods(world: World) -> int:
    """In all of its previews' namespaces, also those that are just ending."""
    namespaces = _namespaces(world)
    pods = world.kubernetes.list("/api/v1/pods")
    return sum(pod["metadata"]["namespace"] in namespaces for pod in pods)


def _commits(world: World) -> int:
    world.gitops.git("fetch", "--quiet", "origin", "main")
    return int(world.gitops.git("rev-list", "--count", "FETCH_HEAD"))


def _is_wildcard_known(world: World) -> bool:
    answer = ask(f"http://pr-999999.{world.options.zone}:{world.cluster.ingress_port}/", ROBOT)
    return answer.status == 404 and "no preview" in answer.body


def _is_waiting(answer: Answer) -> bool:
    """Whether it is the manager who asks for patience, and not an ingress that found nobody."""
    return answer.status == 503 and '"reason": ' in answer.body


def _is_expected(answer: Answer) -> bool:
    return answer.status == OK or _is_waiting(answer)
