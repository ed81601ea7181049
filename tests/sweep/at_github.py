"""What is said at GitHub alone, struck on the real cluster: check runs, deployments, environments, answers.

All is real but the forge, which is the stand-in, where the manager is a GitHub App. Each step of a life is a plan, and
begins when the one before has come to rest.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import httpx2

from previews.domain.feedback import DeploymentState
from previews.domain.preview import HeadSha, Phase, PreviewKey
from previews.reconcile.effects import Effect
from tests.bench.rig import PROJECT, Rig, RigOptions
from tests.cluster import RunningCluster
from tests.soak.crowd import QUESTION
from tests.soak.drain import order_drain, take_project_out
from tests.soak.forge import Checked
from tests.soak.github_forge import GitHubForge, github_for_soak
from tests.sweep.oracles import Kind
from tests.sweep.places import RealPlan
from tests.sweep.plans import Strike
from tests.sweep.report import Finding
from tests.sweep.struck_manager import Order
from tests.world.waiting import NotSeenError, wait_until

PLACES: tuple[tuple[str, Effect, int], ...] = (
    ("open", Effect.SET_CHECK, 1),
    ("open", Effect.SET_DEPLOYMENT, 1),
    ("open", Effect.ENSURE_COMMENT, 1),
    ("push", Effect.SET_CHECK, 1),
    ("push", Effect.SET_DEPLOYMENT, 1),
    ("push", Effect.SET_DEPLOYMENT, 2),
    ("say", Effect.REACT, 1),
    ("say", Effect.REPLY, 1),
    ("close", Effect.REMOVE_DEPLOYMENT, 1),
    ("close", Effect.SET_CHECK, 1),
    ("drain", Effect.REMOVE_ENVIRONMENT, 1),
    ("open_unheard", Effect.REDELIVER, 1),
)
"""Workload, effect, and which of its occurrences, in the order of a life."""
OPENINGS = frozenset({"open", "open_unheard"})
OPTIONS = RigOptions(name="sweep-github", resync="5s")
STRIKE_SECONDS = 60.0
QUIET_POLLS = 40
"""This many looks in a row find the manager's log unchanged: then nothing more comes. Looks are 50 ms apart."""


def chosen_plans() -> list[RealPlan]:
    """Every place in every way."""
    return [RealPlan(*place, strike) for strike in Strike for place in PLACES]


def sweep_at_github(
    cluster: RunningCluster, plans: Sequence[RealPlan], say: Callable[[str], None]
) -> Iterator[Finding]:
    """Carry them out one after another."""
    with Rig(cluster, OPTIONS) as rig, github_for_soak(rig, ()) as forge:
        drill = Drill(rig, forge)
        say("the manager is an App at the stand-in GitHub")
        for plan in plans:
            problems = drill.carry_out(plan)
            key = str(PreviewKey(PROJECT, drill.number))
            yield Finding(plan.workload, str(plan), plan.strike, plan.effect, key, problems)


class Drill:
    """Has one pull request in hand, or none."""

    def __init__(self, rig: Rig, forge: GitHubForge) -> None:
        self._rig = rig
        self._manager = rig.manager
        self._forge = forge
        self._order_file = rig.directory / "order.json"
        self._manager.program = ("tests.sweep.struck_manager", "--order", str(self._order_file))
        self.number = 0
        self._life = 0
        self._heads: list[HeadSha] = []
        """Of the pull request in hand; none when it is closed."""
        self._wrong: set[str] = set()
        forge.prepare()
        self._manager.start()
        forge.connect(rig.relay.url)
        self._steps = {
            "open": self._open,
            "open_unheard": self._open_unheard,
            "push": self._push,
            "say": self._say,
            "close": self._close,
            "drain": self._drain,
        }

    def carry_out(self, plan: RealPlan) -> list[tuple[str, str]]:
        """One struck step. Returns kinds and texts of what was wrong with it."""
        try:
            self._begin(plan.workload)
            self._steps[plan.workload](plan)
            self._be_quiet()
            self._must_be_single()
        except (AssertionError, httpx2.HTTPError, RuntimeError) as error:
            self._order_file.unlink(missing_ok=True)
            if not self._manager.is_running:
                self._manager.start()
            with suppress(AssertionError):
                self._be_quiet()
            self._heads = []
            return [(Kind.DIVERGED, f"{type(error).__name__}: {error}")]
        wrong = set(self._forge.wrong())
        found, self._wrong = wrong - self._wrong, wrong
        return [(Kind.DIVERGED, text) for text in sorted(found)]

    def _begin(self, workload: str) -> None:
        """A new pull request to be opened, or one in hand that is live."""
        if workload in OPENINGS:
            if self._heads:
                self._close(None)
        elif not self._heads:
            self._open(None)
        self._be_quiet()

    def _open(self, plan: RealPlan | None) -> None:
        self._give(plan)
        self._life += 1
        self._heads = [self._forge.first_commit(self._life)]
        self.number = self._forge.open_pull_request(self._life)
        self._survive(plan)
        self._be_live()

    def _open_unheard(self, plan: RealPlan) -> None:
        """While the manager is away: GitHub knows that nobody took its deliveries."""
        self._manager.stop()
        self._life += 1
        self._heads = [self._forge.first_commit(self._life)]
        self.number = self._forge.open_pull_request(self._life)
        self._give(plan)
        # It may be struck before it ever answers.
        with suppress(AssertionError):
            self._manager.start(until_ready=False)
        self._survive(plan)
        self._be_live()

    def _push(self, plan: RealPlan) -> None:
        self._give(plan)
        self._heads.append(self._forge.push(self._life, len(self._heads)))
        self._survive(plan)
        self._be_live()

    def _say(self, plan: RealPlan) -> None:
        self._give(plan)
        self._forge.say(self.number, QUESTION)
        self._survive(plan)
        self._until("it is answered", self._is_answered)

    def _close(self, plan: RealPlan | None) -> None:
        self._give(plan)
        self._forge.set_open(self.number, is_open=False)
        self._survive(plan)
        self._until("it is removed, and said to be", self._is_removed)
        self._heads = []

    def _drain(self, plan: RealPlan) -> None:
        """The project goes with its last preview, and comes back."""
        before = json.loads((self._manager.directory / "previews.yaml").read_text())
        self._manager.stop()
        take_project_out(self._manager)
        self._manager.start()
        self._give(plan)
        order_drain(self._manager)
        self._survive(plan)
        self._forge.forget_project()
        self._until("nothing is left at GitHub", lambda: not self._forge.take())
        self._until("it is removed", lambda: self._phase() is Phase.REMOVED)
        self._be_quiet()
        self._forge.has_project = True
        self._forge.set_open(self.number, is_open=False)
        self._manager.stop()
        self._manager.configure(before)
        self._manager.start()
        self._heads = []

    # How it stands.

    def _be_live(self) -> None:
        """And said to be in all three places."""
        self._until("it is live, and said to be", self._is_live)

    def _is_live(self) -> bool:
        found = self._manager.preview(PROJECT, self.number) or {}
        head_sha = self._heads[-1]
        if (found.get("phase"), found.get("head_sha")) != (Phase.LIVE, head_sha):
            return False
        return self._forge.shows_live(self.number, head_sha) and self._checked().comments > 0

    def _is_answered(self) -> bool:
        found = self._checked()
        return found.answered >= found.asked

    def _is_removed(self) -> bool:
        is_over = self._phase() is Phase.REMOVED and not self._forge.take()
        return is_over and not self._checked().problem

    def _phase(self) -> Phase | None:
        found = self._manager.preview(PROJECT, self.number)
        return Phase(found["phase"]) if found else None

    def _checked(self) -> Checked:
        return self._forge.check(self.number, self._heads, was_live=True)

    def _must_be_single(self) -> None:
        """Each commit has one deployment, only the newest stands, and nothing is said twice."""
        found = self._forge.deployments(self.number)
        of_heads = [it.head_sha for it in found]
        if len(of_heads) != len(set(of_heads)):
            raise NotSeenError(f"deployments of {of_heads}")
        standing = [it.head_sha for it in found if it.state != DeploymentState.INACTIVE]
        if standing != self._heads[-1:]:
            raise NotSeenError(f"deployments stand of {standing}, the heads are {self._heads}")
        if self._heads and (repeated := list(self._checked().duplicates(self.number))):
            raise NotSeenError("; ".join(repeated))

    # Striking.

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

    def _be_quiet(self) -> None:
        """Wait until the manager writes nothing more to anybody: each such effect is a line in its log."""
        looks = [0, -1]

        def is_quiet() -> bool:
            size = self._manager.log.stat().st_size
            looks[:] = [looks[0] + 1 if size == looks[1] else 0, size]
            return looks[0] >= QUIET_POLLS

        self._until("the manager is quiet", is_quiet)

    def _until(self, what: str, is_so: Callable[[], bool]) -> None:
        wait_until(f"{self.number}: {what}", is_so, explain=self._explain)

    def _explain(self) -> str:
        preview = self._manager.preview(PROJECT, self.number)
        shown = self._forge.deployments(self.number)
        return f"{preview}\n{shown}\n{self._checked() if self._heads else ''}\n{self._manager.log_tail()}"
