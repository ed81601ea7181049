"""A stand-in GitHub that remembers the deployments that were deleted, and what may be said of one in its life."""

from collections.abc import Sequence

from previews.domain.feedback import DeploymentState
from tests.fakes.forge_things import HeldDeployment
from tests.github.standin import StandInGitHub

RANKS = {DeploymentState.QUEUED: 0, DeploymentState.IN_PROGRESS: 1}
ENDED = 2
"""It is live, or failed; from one to the other it goes in both directions."""


class RememberingGitHub(StandInGitHub):
    """Like a server of one's own: no limits of its own making. GitHub's would let one App live thirty lives an hour."""

    def __init__(self) -> None:
        super().__init__(prefix="/api/v3")
        self.limits.is_enterprise = True
        self.removed: list[HeldDeployment] = []
        """As they were just before, in order."""

    def remove_deployment_of(self, repository: str, deployment_id: int) -> None:
        found = self.deployment(repository, deployment_id)
        super().remove_deployment_of(repository, deployment_id)
        self.removed.append(found)


def states_of(found: HeldDeployment) -> list[DeploymentState]:
    """How it stood, from its beginning on."""
    return [DeploymentState(each.state) for each in found.statuses]


def problem_of(states: Sequence[DeploymentState]) -> str:
    """Empty if a deployment that was deleted went on and never back, and was inactive in the end.

    One that was inactive may begin again: its pull request was reopened in the middle of its removal.
    """
    if not states or states[-1] is not DeploymentState.INACTIVE:
        return f"deleted while it was not inactive: {', '.join(states) or 'nothing said'}"
    rank = 0
    for state in states:
        if state is DeploymentState.INACTIVE:
            rank = 0
            continue
        now = RANKS.get(state, ENDED)
        if now < rank:
            return f"went back: {', '.join(states)}"
        rank = now
    return ""
