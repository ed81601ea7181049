"""Follows one pull request at a time through its life, and keeps when each part of the world got to know of it."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from previews.domain.naming import Names, short_sha
from previews.domain.preview import HeadSha
from tests.bench.figures import Part
from tests.bench.rig import FOLDER, PATIENCE_SECONDS, PROJECT, SAMPLE, Rig
from tests.bench.visit import shows
from tests.world.gitea import OpenedPullRequest
from tests.world.image import build_image
from tests.world.waiting import wait_until

T = TypeVar("T")

BRANCHES_PER_PUSH = 100
CALLERS = 1
"""How many open pull requests at once where nothing is measured."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A branch that the forge has, and commits that it may get; their images are in the registry if they need any."""

    branch: str
    commits: tuple[HeadSha, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """A pull request at one of its commits."""

    prepared: Prepared
    opened: OpenedPullRequest
    head_sha: HeadSha

    @property
    def number(self) -> int:
        return self.opened.number


def prepare(rig: Rig, first: int, count: int, *, commits: int = 1) -> list[Prepared]:
    """Branches with numbers from `first` on."""
    base = rig.shop.git("rev-parse", "main")
    prepared = []
    for number in range(first, first + count):
        branch, parent, made = f"change-{number}", base, []
        for index in range(commits):
            (rig.shop.directory / "change.txt").write_text(f"{number} {index}\n")
            rig.shop.git("add", "change.txt")
            tree = rig.shop.git("write-tree")
            parent = rig.shop.git("commit-tree", tree, "-p", parent, "-m", f"Change {number}")
            made.append(HeadSha(parent))
        prepared.append(Prepared(branch, tuple(made)))
    for start in range(0, count, BRANCHES_PER_PUSH):
        some = prepared[start : start + BRANCHES_PER_PUSH]
        targets = [f"{each.commits[0]}:refs/heads/{each.branch}" for each in some]
        rig.shop.git("push", "--quiet", "origin", *targets)
    if rig.options.with_pods:
        for head_sha in (sha for each in prepared for sha in each.commits):
            rig.images.push(build_image(SAMPLE, head_sha), f"sha-{short_sha(head_sha)}")
    return prepared


def open_all(rig: Rig, prepared: Sequence[Prepared]) -> list[Opened]:
    """Open pull requests as fast as the forge takes them."""
    with ThreadPoolExecutor(CALLERS) as callers:
        opened = list(callers.map(partial(_open, rig), prepared))
    return sorted(opened, key=lambda each: each.number)


def _open(rig: Rig, prepared: Prepared) -> Opened:
    opened = rig.gitea.open_pull_request(rig.repository, prepared.branch, prepared.branch)
    return Opened(prepared, opened, prepared.commits[0])


class Sampler:
    """Measures into one part, in one place: the number of pull requests that are open meanwhile."""

    def __init__(self, rig: Rig, part: Part, place: str) -> None:
        self._rig = rig
        self._part = part
        self._place = place
        self._closers = ThreadPoolExecutor(max_workers=64)

    def measure_open(self, prepared: Prepared, *, only: Sequence[str] = ()) -> Opened:
        """Open a pull request, and return when it is live and everybody has been told. `only` these stages count."""
        began = time.monotonic()
        pull_request = _open(self._rig, prepared)
        self._follow(pull_request, "opened", began, only)
        return pull_request

    def measure_push(self, pull_request: Opened) -> Opened:
        """Push the next commit, and return when its page is there."""
        commits = pull_request.prepared.commits
        head_sha = commits[commits.index(pull_request.head_sha) + 1]
        pushed = replace(pull_request, head_sha=head_sha)
        began = time.monotonic()
        self._rig.shop.git(
            "push", "--quiet", "origin", f"{head_sha}:refs/heads/{pushed.prepared.branch}"
        )
        self._follow(pushed, "synchronized", began, ())
        return pushed

    def begin_close(self, pull_request: Opened) -> Future[None]:
        """Close a pull request; the future is done when nothing of it is left."""
        began = time.monotonic()
        self._rig.gitea.set_open(pull_request.opened, is_open=False)
        return self._closers.submit(self._wait_until_gone, pull_request.number, began)

    def _wait_until_gone(self, number: int, began: float) -> None:
        names = self._rig.names(number)
        eventually(f"nothing is left of {names.application}", lambda: is_gone(self._rig, names))
        self._part.add("closed_to_gone", self._place, time.monotonic() - began)

    def _follow(self, pull_request: Opened, action: str, began: float, only: Sequence[str]) -> None:
        rig, number, head_sha = self._rig, pull_request.number, pull_request.head_sha
        names = rig.names(number)
        live_at = eventually(
            f"{names.host} shows {head_sha}",
            lambda: shows(names.host, rig.cluster.ingress_port, head_sha) and time.monotonic(),
        )
        passed = eventually(
            f"the forge's {action} of {number} was accepted",
            lambda: rig.relay.find(number, action, head_sha),
        )
        application_file = f"{FOLDER}/{names.folder}/application.yaml"
        pushed_at = eventually(
            f"{application_file} has {head_sha}",
            lambda: rig.branch.held_at(application_file, head_sha),
        )
        seen_at = eventually(
            f"Application {names.application} has {head_sha}",
            lambda: rig.applications.seen_at(names.application, head_sha),
        )
        synced_at = eventually(
            f"Application {names.application} is Synced to {head_sha}",
            lambda: rig.applications.synced_at(names.application, head_sha),
        )
        announced_at = eventually(
            f"the forge shows success for {head_sha}",
            lambda: self._is_announced(head_sha) and time.monotonic(),
        )
        is_new = action == "opened"
        stages = {
            "opened_to_accepted" if is_new else "commit_to_accepted": passed.accepted_at - began,
            "delivered_to_accepted": passed.accepted_at - passed.received_at,
            "accepted_to_pushed": pushed_at - passed.accepted_at,
            "pushed_to_created" if is_new else "pushed_to_changed": seen_at - pushed_at,
            "pushed_to_seen": seen_at - pushed_at,
            "pushed_to_synced": synced_at - pushed_at,
            "pushed_to_live": live_at - pushed_at,
            "opened_to_live" if is_new else "commit_to_page": live_at - began,
            "live_to_announced": announced_at - live_at,
        }
        for stage, seconds in stages.items():
            if not only or stage in only:
                self._part.add(stage, self._place, seconds)

    def _is_announced(self, head_sha: HeadSha) -> bool:
        found = self._rig.gitea.statuses(self._rig.repository, head_sha)
        ours = [status for status in found if status["context"] == f"preview/{PROJECT}"]
        return bool(ours) and ours[0]["status"] == "success"


def is_gone(rig: Rig, names: Names) -> bool:
    """Whether neither Git nor the cluster has anything of a preview. Asked in the order in which it goes."""
    kubernetes = rig.kubernetes
    return not (
        rig.branch.has(f"{FOLDER}/{names.folder}")
        or kubernetes.application(names.application)
        or kubernetes.namespace(names.namespace)
        or kubernetes.app_project(names.app_project)
    )


def eventually(what: str, ask: Callable[[], T | None]) -> T:
    """Wait without a deadline that anybody would notice."""
    return wait_until(what, ask, seconds=PATIENCE_SECONDS)
