"""Takes one pull request after another through its life on the real cluster, a strike at a time."""

from contextlib import suppress

from httpx2 import HTTPError

from tests.sweep.hand import Hand
from tests.sweep.oracles import Kind
from tests.sweep.places import AFTERWARDS, OPENINGS, Costs, RealPlan
from tests.sweep.steps import STEPS
from tests.world.pull_request import PullRequest
from tests.world.waiting import NotSeenError
from tests.world.world import World

ASIDE_MAX = 6
"""Live previews that stay behind while another is opened, and then go together: a removal is mostly waiting."""


class Drill:
    """Has one pull request at a time in hand; others may be live beside it, and are left alone."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._hand = Hand(world)
        self._aside: list[PullRequest] = []
        world.manager.start()
        self._hand.be_quiet()

    @property
    def key(self) -> object:
        """Of the preview of the moment."""
        return self._hand.pull_request.key if self._hand.pull_request else None

    def carry_out(self, plan: RealPlan, usual: Costs) -> list[tuple[str, str]]:
        """One struck step. Returns kinds and texts of what was wrong with it."""
        try:
            costs = self.step(plan.workload, plan)
        except (AssertionError, HTTPError, RuntimeError) as error:
            self._hand.withdraw()
            if not self._world.manager.is_running:
                self._world.manager.start()
            with suppress(NotSeenError):
                self._hand.be_quiet()
            return [(Kind.DIVERGED, f"{type(error).__name__}: {error}")]
        problems: list[tuple[str, str]] = [(Kind.DUPLICATED, text) for text in costs.excess(usual)]
        pull_request = self._hand.now()
        if len(pull_request.comments()) != 1:
            problems.append((Kind.DUPLICATED, f"comments: {pull_request.comments()}"))
        return problems

    def step(self, workload: str, plan: RealPlan | None) -> Costs:
        """From rest to rest. Raises NotSeenError if it does not come to the end that it should."""
        if workload in OPENINGS:
            self._set_aside()
        else:
            self._bring_about("Removed" if workload in AFTERWARDS else "Live")
        commits = len(self._commits())
        said = len(self._statuses()) if self._hand.pull_request and workload != "push" else 0
        STEPS[workload](self._hand, plan)
        self._hand.be_quiet()
        self._look_at_zone()
        return Costs(len(self._commits()) - commits, len(self._statuses()) - said)

    def be_without(self) -> None:
        """Close what there is, and wait for its end."""
        in_hand = self._hand.pull_request
        going = [*self._aside, *([in_hand] if in_hand else [])]
        going = [each for each in going if self._world.gitea.is_open(each.opened)]
        self._aside, self._hand.pull_request = [], None
        for each in going:
            each.close()
        for each in going:
            each.wait_until_removed()
        self._hand.be_quiet()
        self._look_at_zone()

    def _look_at_zone(self) -> None:
        """Struck or not, every host of a live preview has its record, and nobody else has any. Raises NotSeenError."""
        if self._world.records is None:
            return
        in_hand = self._hand.pull_request
        live = [*self._aside, *([in_hand] if in_hand and in_hand.phase() == "Live" else [])]
        if problems := self._world.records.problems({each.number for each in live}):
            raise NotSeenError(f"the zone is not as it should be: {'; '.join(problems)}")

    def _set_aside(self) -> None:
        """Have nothing in hand."""
        in_hand = self._hand.pull_request
        if in_hand and self._world.gitea.is_open(in_hand.opened):
            self._aside.append(in_hand)
        self._hand.pull_request = None
        if len(self._aside) >= ASIDE_MAX:
            self.be_without()

    def _bring_about(self, phase: str) -> None:
        """Have one in hand that is in this phase, Live or Removed."""
        in_hand = self._hand.pull_request
        if in_hand is None or in_hand.phase() != phase:
            self.step("close" if phase == "Removed" else "open", None)

    def _commits(self) -> list[str]:
        self._world.gitops.git("fetch", "--quiet", "origin", "main")
        return self._world.gitops.git("rev-list", "FETCH_HEAD").split()

    def _statuses(self) -> list[object]:
        """Of the head of the pull request."""
        pull_request = self._hand.now()
        return list(
            self._world.gitea.statuses(pull_request.opened.repository, pull_request.head_sha)
        )
