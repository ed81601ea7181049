"""The whole path on the real cluster: with the sample application's pods, and among many open pull requests."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tests.bench.figures import Part
from tests.bench.meter import Meter
from tests.bench.rig import FOLDER, Rig, RigOptions
from tests.bench.sampling import (
    CALLERS,
    Opened,
    Prepared,
    Sampler,
    eventually,
    is_gone,
    open_all,
    prepare,
)
from tests.bench.visit import shows
from tests.cluster import RunningCluster

Say = Callable[[str], None]

CLOSINGS_AT_ONCE = 2
IDLE_SECONDS = 60.0
STUCK_FINALIZER = "bench.previews.dev/never"


def measure_pods(cluster: RunningCluster, part: Part, say: Say, samples: int) -> None:
    """One open pull request of the sample application, from its opening to nothing left, again and again."""
    with Rig(cluster, RigOptions(name="bench-pods", with_pods=True)) as rig:
        say(f"building {2 * samples} images")
        prepared = prepare(rig, 1, samples, commits=2)
        rig.manager.start()
        rig.connect_webhook()
        sampler = Sampler(rig, part, "1")
        for index, each in enumerate(prepared, 1):
            say(f"pull request {index} of {samples}: open, push, close")
            pull_request = sampler.measure_push(sampler.measure_open(each))
            sampler.begin_close(pull_request).result()


def measure_forge_git(cluster: RunningCluster, part: Part, say: Say, samples: int) -> None:
    """The GitOps repository at the forge and spoken to over HTTP: up to the page, without pods."""
    with Rig(cluster, RigOptions(name="bench-gitea", gitops_at_forge=True)) as rig:
        prepared = prepare(rig, 1, samples, commits=2)
        rig.manager.start()
        rig.connect_webhook()
        sampler = Sampler(rig, part, "gitea")
        say(f"{samples} times: open, push")
        for each in prepared:
            sampler.measure_push(sampler.measure_open(each))


def measure_among(
    cluster: RunningCluster, part: Part, say: Say, samples: int, *, size: int, beside_stuck: bool
) -> None:
    """Fill up to `size` open pull requests at once, and then follow single ones."""
    with Rig(cluster, RigOptions(name=f"bench-{size}")) as rig:
        say(f"opening {size} pull requests that nobody is told of yet")
        opened = open_all(rig, prepare(rig, 1, size))
        more = prepare(rig, size + 1, samples, commits=2)
        fill(rig, part, say, opened)
        meter = Meter(rig.manager)
        meter.wait_until_quiet()
        part.set(f"rss_{size}_previews_mib", meter.rss_mib())
        say(f"for {IDLE_SECONDS:g} s nothing changes")
        measure_idle(rig, part, meter, str(size))
        rig.connect_webhook()
        sampler = Sampler(rig, part, str(size))
        say(f"{samples} times: open")
        followed = [sampler.measure_open(each) for each in more]
        say(f"{samples} times: push")
        followed = [sampler.measure_push(each) for each in followed]
        if beside_stuck:
            say(f"{samples} times: open, while another cannot go")
            victim, *others = prepare(rig, size + samples + 1, 1 + samples)
            measure_beside_stuck(rig, part, victim, others, usual=f"opened_to_live_{size}")
        say(f"{samples} times: close")
        close_all(sampler, followed)
        say("closing all others at once")
        drain(rig, part, opened)


def fill(rig: Rig, part: Part, say: Say, opened: Sequence[Opened]) -> None:
    """Start the manager in front of open pull requests, and wait until all of them are there."""
    size = len(opened)
    say(f"starting the manager in front of {size} open pull requests")
    before = rig.branch.tips()[-1]
    began = time.monotonic()
    rig.manager.start(until_ready=False)
    port = rig.cluster.ingress_port

    def name(each: Opened) -> str:
        return rig.names(each.number).application

    reached_by_stage: dict[str, Callable[[Opened], object]] = {
        "pushed": lambda each: rig.branch.has(f"{FOLDER}/{rig.names(each.number).folder}"),
        "created": lambda each: rig.applications.seen_at(name(each), each.head_sha),
        "synced": lambda each: rig.applications.synced_at(name(each), each.head_sha),
        "live": lambda each: shows(rig.names(each.number).host, port, each.head_sha),
    }
    for stage, reached in reached_by_stage.items():
        left = deque(opened)
        eventually(f"all {size} are {stage}", lambda: _none_left(left, reached))  # noqa: B023 - called at once
        part.set(f"fill_{size}_{stage}_seconds", time.monotonic() - began)
        say(f"all {size} are {stage} after {time.monotonic() - began:.1f} s")
    part.set(f"fill_{size}_commits_count", rig.branch.commits_since(before))


def _none_left(left: deque[Opened], reached: Callable[[Opened], object]) -> bool:
    """Strike off those at the front that are there. The rest is asked for again."""
    while left and reached(left[0]):
        left.popleft()
    return not left


def measure_idle(rig: Rig, part: Part, meter: Meter, place: str) -> None:
    """Processor time of the manager, and of the git commands that it ran, while nothing changes; and what it wrote."""
    before = rig.branch.tips()[-1]
    own, commands = meter.cpu_percent(IDLE_SECONDS)
    part.set(f"idle_cpu_{place}_percent", own)
    part.set(f"idle_cpu_of_git_{place}_percent", commands)
    part.set(f"idle_{place}_commits_count", rig.branch.commits_since(before))


def measure_beside_stuck(
    rig: Rig, part: Part, victim: Prepared, others: Sequence[Prepared], *, usual: str
) -> None:
    """Others of the project open in the shard of one that cannot go. At the end it can."""
    sampler = Sampler(rig, part, "beside_stuck")
    stuck = sampler.measure_open(victim, only=("none",))
    namespace = f"/api/v1/namespaces/{rig.names(stuck.number).namespace}"
    held = {"name": "held", "finalizers": [STUCK_FINALIZER]}
    rig.kubernetes.create(
        f"{namespace}/configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": held}
    )
    gone = Sampler(rig, Part(), "stuck").begin_close(stuck)
    eventually(
        "the stuck namespace is terminating",
        lambda: (
            "deletionTimestamp" in (rig.kubernetes.get(namespace) or {"metadata": {}})["metadata"]
        ),
    )
    opened = [sampler.measure_open(each, only=("opened_to_live",)) for each in others]
    beside = statistics.median(part.samples["opened_to_live_beside_stuck"])
    part.set("beside_stuck_ratio", beside / statistics.median(part.samples[usual]))
    if gone.done():
        raise RuntimeError("the stuck preview went away by itself: nothing was measured")
    rig.kubernetes.patch(f"{namespace}/configmaps/held", {"metadata": {"finalizers": None}})
    gone.result()
    drain(rig, Part(), opened)


def close_all(sampler: Sampler, pull_requests: Iterable[Opened]) -> None:
    """One after another; the next before the last is quite gone, which takes most of its time waiting."""
    closing: deque[Future[None]] = deque()
    for each in pull_requests:
        closing.append(sampler.begin_close(each))
        if len(closing) == CLOSINGS_AT_ONCE:
            closing.popleft().result()
    for last in closing:
        last.result()


def drain(rig: Rig, part: Part, opened: Sequence[Opened]) -> None:
    """Close pull requests as fast as the forge takes it, and wait until nothing of any is left."""
    began = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as callers:
        list(callers.map(lambda each: rig.gitea.set_open(each.opened, is_open=False), opened))
    left = deque(opened)
    eventually(
        f"nothing is left of {len(opened)} previews",
        lambda: _none_left(left, lambda each: is_gone(rig, rig.names(each.number))),
    )
    part.set(f"drain_{len(opened)}_seconds", time.monotonic() - began)
