"""The chosen plans on the real cluster, with the real Git, Gitea and Argo CD, and a manager that strikes itself.

One pull request after another lives in one World: each step of a life (opened, pushed to, closed, reopened while it is
removed, opened unheard) is a plan, and begins when the one before has come to rest.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from httpx2 import HTTPError

from previews.reconcile.effects import Effect
from tests.cluster import RunningCluster
from tests.sweep.oracles import EXTRA_WRITES_MAX, Kind
from tests.sweep.plans import Strike
from tests.sweep.report import Finding
from tests.sweep.struck_manager import Order
from tests.world.pull_request import Page, PullRequest
from tests.world.waiting import NotSeenError, wait_until
from tests.world.world import World, WorldOptions

OPTIONS = WorldOptions(
    name="sweep",
    project="sweep-shop",
    hostname="{project}-pr-{number}.preview.localhost",
    # Soon enough for what a strike made the door miss.
    resync="5s",
)
UNDISTURBED_ROUNDS = 2
QUIET_POLLS = 30
"""This many looks in a row find the manager's log unchanged: then nothing more comes. Looks are 50 ms apart."""
STRIKE_SECONDS = 60.0
FINALIZER = "example.org/not-yet"

PLACES: tuple[tuple[str, Effect, int], ...] = (
    ("open", Effect.ACCEPT, 1),
    ("open", Effect.SAVE_RECORD, 1),
    ("open", Effect.CLEAR_MARK, 1),
    ("open", Effect.PUSH, 1),
    ("open", Effect.REFRESH_APPLICATION, 1),
    ("open", Effect.SET_STATUS, 1),
    ("open", Effect.ENSURE_COMMENT, 1),
    ("open", Effect.RECORD_PUBLISHED, 1),
    ("open_unheard", Effect.MARK_FOR_FETCH, 1),
    ("push", Effect.PUSH, 1),
    ("close", Effect.SAVE_RECORD, 1),
    ("close", Effect.PUSH, 1),
    ("close", Effect.PUSH, 2),
    ("reopen", Effect.PUSH, 1),
)
"""Workload, effect, and which of its occurrences."""


@dataclass(frozen=True, slots=True)
class RealPlan:
    """Strike an effect of a workload when it comes for the nth time."""

    workload: str
    effect: Effect
    occurrence: int
    strike: Strike

    def __str__(self) -> str:
        return f"{self.workload}:{self.effect}#{self.occurrence}:{self.strike}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        workload, effect, strike = text.split(":")
        name, _, occurrence = effect.partition("#")
        return cls(workload, Effect(name), int(occurrence), Strike(strike))


@dataclass(frozen=True, slots=True)
class Costs:
    """What one step wrote."""

    commits: int
    statuses: int

    def excess(self, usual: "Costs") -> Iterator[str]:
        for what, count, before in (
            ("commits", self.commits, usual.commits),
            ("statuses", self.statuses, usual.statuses),
        ):
            if count > before + EXTRA_WRITES_MAX:
                yield f"{count} {what}, undisturbed at most {before}"


def chosen_plans() -> list[RealPlan]:
    """Every place in every way."""
    return [RealPlan(*place, strike) for place in PLACES for strike in Strike]


def sweep_really(
    cluster: RunningCluster, plans: Sequence[RealPlan], say: Callable[[str], None]
) -> Iterator[Finding]:
    """Carry them out, in an order that needs few lives."""
    with World(cluster, OPTIONS) as world:
        drill = Drill(world)
        usual = _undisturbed(drill, {plan.workload for plan in plans})
        say(f"undisturbed: {usual}")
        for plan in _in_lives(plans):
            problems = drill.carry_out(plan, usual[plan.workload])
            yield Finding(
                plan.workload, str(plan), plan.strike, plan.effect, str(drill.key), problems
            )
        drill.be_without()


def _undisturbed(drill: "Drill", workloads: set[str]) -> dict[str, Costs]:
    """The most that each step writes when nothing is struck: how much is said depends on how fast things go."""
    usual = dict.fromkeys(workloads, Costs(0, 0))
    for _ in range(UNDISTURBED_ROUNDS):
        for workload in sorted(workloads, key=_LIFE.index):
            costs, most = drill.step(workload, None), usual[workload]
            usual[workload] = Costs(
                max(costs.commits, most.commits), max(costs.statuses, most.statuses)
            )
    return usual


_LIFE = ("open", "push", "reopen", "close", "open_unheard")
_OPENINGS = {"open", "open_unheard"}


def _in_lives(plans: Sequence[RealPlan]) -> Iterator[RealPlan]:
    """A beginning, then what needs a live preview up to an end; what is missing is done unstruck."""
    begin = [plan for plan in plans if plan.workload in _OPENINGS]
    go_on = [plan for plan in plans if plan.workload not in _OPENINGS]
    while begin or go_on:
        if begin:
            yield begin.pop(0)
        while go_on:
            plan = go_on.pop(0)
            yield plan
            if plan.workload == "close":
                break


class Drill:
    """Takes the one pull request of the moment through its life, a strike at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._manager = world.manager
        self._order_file = world.directory / "order.json"
        self._manager.program = (
            "tests.sweep.struck_manager",
            *("--order", str(self._order_file)),
        )
        self._pull_request: PullRequest | None = None
        self._count = 0
        self._steps = {
            "open": self._open,
            "open_unheard": self._open_unheard,
            "push": self._push,
            "close": self._close,
            "reopen": self._reopen,
        }
        self._manager.start()

    @property
    def key(self) -> object:
        """Of the preview of the moment."""
        return self._pull_request.key if self._pull_request else None

    def carry_out(self, plan: RealPlan, usual: Costs) -> list[tuple[str, str]]:
        """One struck step. Returns kinds and texts of what was wrong with it."""
        try:
            costs = self.step(plan.workload, plan)
        except (AssertionError, HTTPError) as error:
            self._order_file.unlink(missing_ok=True)
            if not self._manager.is_running:
                self._manager.start()
            return [(Kind.DIVERGED, f"{type(error).__name__}: {error}")]
        problems: list[tuple[str, str]] = [(Kind.DUPLICATED, text) for text in costs.excess(usual)]
        pull_request = self._now()
        if len(pull_request.comments()) != 1:
            problems.append((Kind.DUPLICATED, f"comments: {pull_request.comments()}"))
        return problems

    def step(self, workload: str, plan: RealPlan | None) -> Costs:
        """From rest to rest. Raises NotSeenError if it does not come to the end that it should."""
        if workload in _OPENINGS:
            self.be_without()
        elif self._pull_request is None or self._pull_request.phase() != "Live":
            self.be_without()
            self.step("open", None)
        self._be_quiet()
        commits = len(self._commits())
        said = len(self._statuses()) if self._pull_request and workload != "push" else 0
        self._steps[workload](plan)
        self._be_quiet()
        return Costs(len(self._commits()) - commits, len(self._statuses()) - said)

    def be_without(self) -> None:
        """Close what there is, and wait for its end."""
        if self._pull_request is not None:
            if self._world.gitea.is_open(self._pull_request.opened):
                self._pull_request.close()
            self._pull_request.wait_until_removed()
            self._be_quiet()
            self._pull_request = None

    def _open(self, plan: RealPlan | None) -> None:
        self._give(plan)
        self._count += 1
        self._pull_request = self._world.open_simple_pull_request(f"drill-{self._count}")
        self._survive(plan)
        self._be_live()

    def _open_unheard(self, plan: RealPlan | None) -> None:
        self._manager.stop()
        self._count += 1
        self._pull_request = self._world.open_simple_pull_request(f"drill-{self._count}")
        self._give(plan)
        # It may be struck before it ever answers.
        with suppress(AssertionError):
            self._manager.start(until_ready=False)
        self._survive(plan)
        self._be_live()

    def _push(self, plan: RealPlan | None) -> None:
        pull_request = self._now()
        self._give(plan)
        pull_request.push(Page(f"Pushed {self._count}", "Once more."), image=False)
        pull_request.borrow_image()
        self._survive(plan)
        self._be_live()

    def _close(self, plan: RealPlan | None) -> None:
        pull_request = self._now()
        self._give(plan)
        pull_request.close()
        self._survive(plan)
        pull_request.wait_until_removed()
        wait_until(
            "status and comment say so",
            pull_request.is_said_to_be_removed,
            explain=pull_request.explain,
        )

    def _reopen(self, plan: RealPlan | None) -> None:
        """While it is being removed: what is struck is what brings it back."""
        pull_request = self._now()
        first = pull_request.namespace() or {"metadata": {}}
        pull_request.hold_namespace(FINALIZER)
        pull_request.close()
        wait_until(
            "Kubernetes says why the removal waits",
            lambda: FINALIZER in pull_request.preview().get("message", ""),
            explain=pull_request.explain,
        )
        self._be_quiet()
        self._give(plan)
        pull_request.reopen()
        pull_request.let_namespace_go()
        self._survive(plan)
        self._be_live()
        second = pull_request.namespace() or {"metadata": {}}
        if first["metadata"].get("uid") == second["metadata"].get("uid"):
            raise NotSeenError(
                "the preview that was reopened lives in the namespace of the old one"
            )

    def _give(self, plan: RealPlan | None) -> None:
        if plan is not None:
            Order(plan.effect, plan.occurrence, plan.strike).write(self._order_file)

    def _survive(self, plan: RealPlan | None) -> None:
        """Wait for the strike, and start a manager that was killed, as Kubernetes does."""
        if plan is None:
            return
        wait_until(
            f"{plan.effect} is struck",
            lambda: not self._order_file.exists(),
            seconds=STRIKE_SECONDS,
            explain=self._manager.log_tail,
        )
        if plan.strike is not Strike.ANSWER_LOST:
            wait_until("the manager is dead", lambda: not self._manager.is_running)
            self._manager.start()

    def _be_live(self) -> None:
        pull_request = self._now()
        pull_request.wait_until_live()
        pull_request.wait_until_announced()

    def _be_quiet(self) -> None:
        """Wait until the manager writes nothing more to anybody: each such effect is a line in its log."""
        looks = [0, -1]

        def is_quiet() -> bool:
            size = self._manager.log.stat().st_size
            looks[0] = looks[0] + 1 if size == looks[1] else 0
            looks[1] = size
            return looks[0] >= QUIET_POLLS

        wait_until("the manager is quiet", is_quiet, explain=self._manager.log_tail)

    def _now(self) -> PullRequest:
        if self._pull_request is None:
            raise AssertionError("there is no pull request at the moment")
        return self._pull_request

    def _commits(self) -> list[str]:
        return self._world.gitops.git("rev-list", self._fetched()).split()

    def _fetched(self) -> str:
        self._world.gitops.git("fetch", "--quiet", "origin", "main")
        return "FETCH_HEAD"

    def _statuses(self) -> list[object]:
        """Of the head of the pull request."""
        pull_request = self._now()
        return list(
            self._world.gitea.statuses(pull_request.opened.repository, pull_request.head_sha)
        )
