"""Developers at the stand-in GitHub, and a manager that is a GitHub App there.

People are never refused: it is the manager that GitHub fails. Its repository has no files that anything is made of.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from previews.domain.deployments import environment_of, owner_of
from previews.domain.feedback import CheckState, DeploymentState
from previews.domain.naming import short_sha
from previews.domain.preview import HeadSha, parse_head_sha
from previews.domain.status_line import status_context
from tests.bench.rig import PROJECT, Rig
from tests.fakes.forge_things import APP_LOGIN, Comment, HeldCheck, HeldDeployment
from tests.github.server import ANSWER_LOST, RESET, SERVER_ERROR, refusal
from tests.github.server import Fault as Misdeed
from tests.soak.branches import branch_of
from tests.soak.crowd import QUESTION
from tests.soak.drain import ELSEWHERE
from tests.soak.faults import Away, Fault
from tests.soak.forge import Checked
from tests.soak.github_history import RememberingGitHub, problem_of, states_of
from tests.soak.lives import Step
from tests.soak.sayings import is_reply, is_sticky, tells_removed
from tests.soak.things import Thing
from tests.world.manager import Manager
from tests.world.stand_in import be_app

DEPLOYMENTS = "deployments"
ENVIRONMENTS = "environments"
MISDEEDS = {
    Fault.GITHUB_AWAY: RESET,
    Fault.GITHUB_SICK: SERVER_ERROR,
    Fault.GITHUB_UNHEARD: ANSWER_LOST,
    Fault.GITHUB_LIMITS: refusal(
        403, "You have exceeded a secondary rate limit. Please wait a moment.", retry_after="5"
    ),
}


@contextmanager
def github_for_soak(rig: Rig, scripts: Sequence[Sequence[Step]]) -> Iterator["GitHubForge"]:  # noqa: ARG001 - commits cost nothing here
    """What its description has against the traffic is for the judgement to say."""
    with RememberingGitHub() as github:
        yield GitHubForge(
            github,
            rig.manager,
            repository=rig.repository,
            instance=rig.options.name,
            secret=rig.secret,
        )
        github.violations.clear()


class GitHubForge:
    """One repository at the stand-in. Safe from any thread."""

    kinds: Sequence[str] = (DEPLOYMENTS, ENVIRONMENTS)

    def __init__(
        self,
        github: RememberingGitHub,
        manager: Manager,
        *,
        repository: str,
        instance: str,
        secret: str,
    ) -> None:
        """`secret` is what the manager knows its webhooks by."""
        self._github = github
        self._manager = manager
        self._repository = repository
        self._instance = instance
        self._secret = secret
        self._numbers: dict[int, int] = {}
        self._lock = threading.Lock()
        self.has_project = True
        """The project's one environment stays as long as the project does, with what people set there."""

    def prepare(self) -> None:
        owner, _, _ = self._repository.partition("/")
        for name in (self._repository, f"{owner}/{ELSEWHERE}"):
            self._github.add_repository(name)
        be_app(self._manager, self._github)

    def connect(self, url: str) -> None:
        self._github.hook(url, self._secret)

    def outages(self) -> Mapping[Fault, Away]:
        return {fault: self._committing(misdeed) for fault, misdeed in MISDEEDS.items()}

    def first_commit(self, life: int) -> HeadSha:
        return _commit(life, 0)

    def push(self, life: int, index: int) -> HeadSha:
        with self._lock:
            number = self._numbers[life]
        return self._github.push(self._repository, number, _commit(life, index))

    def open_pull_request(self, life: int) -> int:
        branch = branch_of(life)
        number = self._github.open_pull_request(
            self._repository, branch, f"Change {branch}", head_sha=_commit(life, 0)
        )
        with self._lock:
            self._numbers[life] = number
        return number

    def set_open(self, number: int, *, is_open: bool) -> None:
        change = self._github.reopen if is_open else self._github.close
        change(self._repository, number)

    def say(self, number: int, body: str) -> None:
        self._github.comment(self._repository, number, body)

    def open_numbers(self) -> list[int]:
        return [each.number for each in self._github.open_pull_requests(self._repository)]

    def forget_project(self) -> bool:
        self.has_project = False
        return True

    def take(self) -> list[Thing]:
        kept = {environment_of(PROJECT)} if self.has_project else set()
        names = self._github.environments(self._repository) - kept
        environments = [Thing(ENVIRONMENTS, name, None) for name in sorted(names)]
        found = self._github.deployments_of(self._repository)
        return [*(self._deployment(each) for each in found), *environments]

    def deployments(self, number: int) -> list[HeldDeployment]:
        """Of one pull request, the oldest first."""
        found = self._github.deployments_of(self._repository)
        return [each for each in found if self._number_of(each) == number]

    def shows_live(self, number: int, head_sha: HeadSha) -> bool:
        """Beside the commit, and among the deployments."""
        runs = self._check_runs(head_sha)
        shown = {it.head_sha: it.state for it in self.deployments(number)}
        is_checked = bool(runs) and runs[-1].check.state is CheckState.SUCCESS
        return is_checked and shown.get(head_sha) == DeploymentState.SUCCESS

    def check(self, number: int, heads: Sequence[HeadSha], *, was_live: bool) -> Checked:
        found = self._github.comments_of(self._repository, number)
        ours = [it for it in found if it.author == APP_LOGIN]
        replies = sum(is_reply(it.body) for it in ours)
        comments = sum(is_sticky(it.body) for it in ours)
        asked = [it for it in found if it.body.strip() == QUESTION]
        by_head = [self._check_runs(head_sha) for head_sha in heads]
        *before, last = by_head
        pending = sum(not it.check.state.is_final for runs in before for it in runs)
        # Who closes before anything is there is told nothing.
        is_judged = bool(was_live or any(by_head) or comments)
        problem = _problem(number, last, comments, pending) if is_judged else ""
        repeated = [
            f"{len(runs)} check runs of {number} on {short_sha(head_sha)}"
            for head_sha, runs in zip(heads, by_head, strict=True)
            if len(runs) > 1
        ]
        unacknowledged = replies - sum(map(_has_reaction, asked))
        if not problem and unacknowledged > 0:
            problem = f"{number}: {unacknowledged} answers without a reaction"
        return Checked(problem, comments, len(asked), replies, pending, tuple(repeated))

    def wrong(self) -> list[str]:
        """Deployments that were deleted otherwise than they should be, and what is no GitHub traffic at all."""
        problems = [(it, problem_of(states_of(it))) for it in list(self._github.removed)]
        return [
            *(f"deployment of {it.task}: {problem}" for it, problem in problems if problem),
            *list(self._github.violations),
        ]

    def figures(self) -> Mapping[str, float]:
        removed = [states_of(it) for it in list(self._github.removed)]
        return {
            "deployments_removed": len(removed),
            "deployments_shown_live": sum("success" in states for states in removed),
            "github_requests": len(self._github.requests),
            "github_requests_not_modified": self._github.counts(304).total(),
        }

    def _committing(self, misdeed: Misdeed) -> Away:
        return partial(self._github.fail, misdeed), self._github.heal

    def _deployment(self, found: HeldDeployment) -> Thing:
        name = f"{found.task} at {short_sha(HeadSha(found.head_sha))}"
        return Thing(DEPLOYMENTS, name, self._number_of(found))

    def _number_of(self, found: HeldDeployment) -> int | None:
        owner = owner_of(self._instance, found.task)
        return owner.number if owner else None

    def _check_runs(self, head_sha: HeadSha) -> list[HeldCheck]:
        found = self._github.check_runs(self._repository, head_sha)
        return [each for each in found if each.check.name == status_context(PROJECT)]


def _commit(life: int, index: int) -> HeadSha:
    """The commit with this place on a life's branch."""
    return parse_head_sha(hashlib.sha1(f"{life} {index}".encode()).hexdigest())


def _has_reaction(comment: Comment) -> bool:
    return any(who == APP_LOGIN for who, _ in comment.reactions)


def _problem(number: int, last: Sequence[HeldCheck], comments: int, pending: int) -> str:
    if not last:
        return f"{number}: no check run"
    check = last[-1].check
    if check.state is not CheckState.NEUTRAL or not tells_removed(check.title):
        return f"{number}: {check.state} {check.title!r}"
    if pending:
        return f"{number}: {pending} check runs of older commits go on"
    return "" if comments else f"{number}: no comment"
