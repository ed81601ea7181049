"""The crash sweep on fakes: each effect of each workload, struck in each of three ways, one plan at a time.

Killed before the effect, killed after it and before anything was recorded, or its answer lost. Whatever was struck, the
end must be that of the undisturbed run, and then nothing more may be written.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import pytest

from previews.domain.preview import Phase
from previews.errors import TransientError
from previews.reconcile.effects import Effect
from tests.fakes.town import REPOSITORY, Town

EXTRA_WRITES_MAX = 1
"""Commits and statuses that one fault may cost."""


class Strike(StrEnum):
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"
    ANSWER_LOST = "answer lost"


class Killed(BaseException):
    """As SIGKILL: nothing in the manager may catch it."""


@dataclass
class Plan:
    """Strike the nth effect of a run."""

    nth: int
    strike: Strike


class StrikingWitness:
    """Counts effects, and strikes once as planned."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.plan = plan
        self.seen: list[Effect] = []

    def before(self, effect: Effect, subject: str) -> None:  # noqa: ARG002 - the port has it
        self.seen.append(effect)
        if self._is_due(Strike.KILLED_BEFORE):
            raise Killed

    def after(self, effect: Effect, subject: str) -> None:
        if self._is_due(Strike.KILLED_AFTER):
            raise Killed
        if self._is_due(Strike.ANSWER_LOST):
            raise TransientError("AnswerLost", f"{effect} of {subject} was done, but nobody heard")

    def _is_due(self, strike: Strike) -> bool:
        due = self.plan == Plan(len(self.seen) - 1, strike)
        if due:
            self.plan = None
        return due


def alive(town: Town, act: Callable[[], object]) -> None:
    """Do something; if the manager dies of it, start it again."""
    try:
        act()
    except Killed:
        town.start()
    except TransientError:
        # The door answered 503: the forge says so to nobody, and a resync makes up for it.
        town.resync()


def opened(town: Town) -> int:
    number = town.forge.open_pull_request(REPOSITORY)
    town.push_image(number)
    alive(town, lambda: town.deliver(number))
    return number


def pushed(town: Town, number: int) -> None:
    town.forge.push(REPOSITORY, number)
    town.push_image(number)
    alive(town, lambda: town.deliver(number))


def closed(town: Town, number: int) -> None:
    town.forge.close(REPOSITORY, number)
    alive(town, lambda: town.deliver(number))


def reopened(town: Town, number: int) -> None:
    town.forge.reopen(REPOSITORY, number)
    alive(town, lambda: town.deliver(number))


def settled(town: Town) -> None:
    alive(town, town.settle)
    alive(town, town.resync)
    alive(town, lambda: town.settle(180))


def open_one(town: Town) -> None:
    opened(town)


def push_one(town: Town) -> None:
    number = opened(town)
    settled(town)
    pushed(town, number)


def push_during_deploy(town: Town) -> None:
    number = opened(town)
    alive(town, lambda: town.settle(0))
    pushed(town, number)


def close_one(town: Town) -> None:
    number = opened(town)
    settled(town)
    closed(town, number)


def close_during_deploy(town: Town) -> None:
    number = opened(town)
    alive(town, lambda: town.settle(0))
    closed(town, number)


def close_overtaking_open(town: Town) -> None:
    number = town.forge.open_pull_request(REPOSITORY)
    town.push_image(number)
    town.forge.close(REPOSITORY, number)
    alive(town, lambda: town.deliver(number))


def reopen_during_removal(town: Town) -> None:
    number = opened(town)
    settled(town)
    town.cluster.hold("preview-shop-pr-1", "waiting")
    closed(town, number)
    settled(town)
    reopened(town, number)
    settled(town)
    town.cluster.let_go("preview-shop-pr-1")


def end_a_retrying_sync(town: Town) -> None:
    town.argocd.deploys = False
    number = opened(town)
    settled(town)
    town.cluster.put_application("shop-pr-1", operation_phase="Running")
    closed(town, number)


def two_of_a_shard(town: Town) -> None:
    first = opened(town)
    opened(town)
    settled(town)
    closed(town, first)


def every_webhook_lost(town: Town) -> None:
    number = town.forge.open_pull_request(REPOSITORY)
    town.push_image(number)
    alive(town, town.resync)
    settled(town)
    town.forge.close(REPOSITORY, number)
    alive(town, town.resync)


WORKLOADS = (
    open_one,
    push_one,
    push_during_deploy,
    close_one,
    close_during_deploy,
    close_overtaking_open,
    reopen_during_removal,
    end_a_retrying_sync,
    two_of_a_shard,
    every_webhook_lost,
)


@dataclass
class End:
    """What there is when all is done."""

    files: dict[str, str]
    applications: set[str]
    namespaces: set[str]
    app_projects: set[str]
    phases: dict[str, str]
    statuses: dict[int, tuple[str, str, str] | None]
    comments: dict[int, list[str]]


def run(workload: Callable[[Town], None], plan: Plan | None) -> tuple[Town, StrikingWitness]:
    witness = StrikingWitness()
    town = Town(witness=witness)
    witness.seen.clear()
    witness.plan = plan
    workload(town)
    settled(town)
    return town, witness


def end_of(town: Town) -> End:
    numbers = town.forge.numbers(REPOSITORY)
    statuses = {number: town.status(number) for number in numbers}
    return End(
        files=dict(town.gitops.files),
        applications=set(town.cluster.applications),
        namespaces=set(town.cluster.namespaces),
        app_projects=set(town.cluster.app_projects),
        phases={
            str(record.key): record.phase
            for record in town.store.list_records()
            if record.phase is not Phase.REMOVED
        },
        statuses={
            number: (status.state, status.description, status.target_url) if status else None
            for number, status in statuses.items()
        },
        comments={
            number: [each.body for each in town.forge.comments(REPOSITORY, number)]
            for number in numbers
        },
    )


def writes_of(town: Town) -> Counter[str]:
    return Counter(
        {
            "commits": town.gitops.pushes,
            "statuses": sum(call.startswith("set_commit_status") for call in town.forge.writes),
        }
    )


def assert_nothing_stayed(town: Town, what: str) -> None:
    """For a preview that, depending on the moment of the strike, was never begun: how much was said of it differs."""
    assert town.left_of(1) == set(), what
    status = town.status(1)
    assert status is None or status.description == "Preview removed", what
    assert all("Preview removed" in said.body for said in town.forge.comments(REPOSITORY, 1)), what


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: str(workload.__name__))
def test_no_strike_changes_the_end(workload: Callable[[Town], None]) -> None:
    undisturbed, witness = run(workload, None)
    expected, usual = end_of(undisturbed), writes_of(undisturbed)
    for nth in range(len(witness.seen)):
        for strike in Strike:
            what = f"{strike} effect {nth}, {witness.seen[nth]}"
            town, _ = run(workload, Plan(nth, strike))
            if workload is close_during_deploy:
                assert_nothing_stayed(town, what)
            else:
                assert end_of(town) == expected, what
            extra = writes_of(town) - usual
            assert all(count <= EXTRA_WRITES_MAX for count in extra.values()), (what, extra)
            writes = (town.store.writes, writes_of(town))
            for _ in range(20):
                town.resync()
                town.loop.enqueue([record.key for record in town.store.list_records()])
                town.settle(1)
            assert (town.store.writes, writes_of(town)) == writes, what


def test_every_effect_is_swept() -> None:
    struck = {effect for workload in WORKLOADS for effect in run(workload, None)[1].seen}
    assert struck == set(Effect)
