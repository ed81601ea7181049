"""What the fake forge can do as a GitHub App: check runs, deployments, and what could not be delivered."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from previews.domain.feedback import Check, Deployment, DeploymentState, PostedDeployment
from previews.domain.forge_ports import FailedDelivery
from previews.domain.preview import PullRequest
from previews.errors import StalledError, TransientError
from tests.fakes.forge_feedback import ForgeFeedback
from tests.fakes.forge_things import RefusedError

Result = TypeVar("Result")


class Calls:
    """What was asked of a fake, and what changed something. `called` raises where a fault was armed."""

    def __init__(self, called: Callable[[str], None], wrote: Callable[[str], None]) -> None:
        self.called = called
        self.wrote = wrote


class FakeChecks:
    def __init__(self, world: ForgeFeedback, calls: Calls) -> None:
        self._world = world
        self._calls = calls

    def ensure_check(self, repository: str, check: Check, known_id: int | None) -> int:
        call = f"ensure_check {repository} {check.head_sha} {check.name} {check.state}"
        self._calls.called(call)
        there = asking(lambda: self._world.visible_repository(repository)).checks
        if known_id not in there:
            known_id = next(
                (
                    each.id
                    for each in self._world.check_runs(repository, check.head_sha)
                    if (each.check.name, each.check.external_id) == (check.name, check.external_id)
                ),
                None,
            )
        held = writing(lambda: self._world.put_check(repository, check, known_id))
        self._calls.wrote(call)
        return held.id

    def page_of(self, pull_request: PullRequest, check_id: int) -> str:
        return f"{pull_request.url}/checks?check_run_id={check_id}"


class FakeDeployments:
    def __init__(self, world: ForgeFeedback, calls: Calls) -> None:
        self._world = world
        self._calls = calls

    def ensure_deployment(
        self, repository: str, deployment: Deployment, known_id: int | None
    ) -> int:
        call = f"ensure_deployment {repository} {deployment.head_sha} {deployment.state}"
        self._calls.called(call)
        held = asking(lambda: self._world.visible_repository(repository)).deployments
        if known_id not in held:
            known_id = next(
                (
                    each.id
                    for each in held.values()
                    if (each.task, each.head_sha) == (deployment.task, deployment.head_sha)
                ),
                None,
            )
        if known_id is None:
            made = writing(
                lambda: self._world.deploy(
                    repository,
                    creator=self._world.own_login,
                    task=deployment.task,
                    environment=deployment.environment,
                    head_sha=deployment.head_sha,
                    description=deployment.description,
                )
            )
            known_id = made.id
        deployment_id = known_id
        writing(
            lambda: self._world.say_of_deployment(
                repository,
                deployment_id,
                deployment.state,
                description=deployment.description,
                environment_url=deployment.environment_url,
                log_url=deployment.log_url,
            )
        )
        self._calls.wrote(call)
        return deployment_id

    def list_deployments(self, repository: str, task: str = "") -> Sequence[PostedDeployment]:
        self._calls.called(f"list_deployments {repository} {task}")
        held = asking(lambda: self._world.visible_repository(repository)).deployments
        return [
            PostedDeployment(
                id=each.id, task=each.task, environment=each.environment, head_sha=each.head_sha
            )
            for each in reversed(list(held.values()))
            if task in {"", each.task}
        ]

    def set_deployment_state(
        self, repository: str, deployment_id: int, state: DeploymentState
    ) -> None:
        self._change(
            repository,
            f"set_deployment_state {repository} {deployment_id} {state}",
            lambda: self._world.say_of_deployment(repository, deployment_id, state),
        )

    def remove_deployment(self, repository: str, deployment_id: int) -> None:
        def remove() -> None:
            self._world.say_of_deployment(repository, deployment_id, DeploymentState.INACTIVE)
            self._world.remove_deployment_of(repository, deployment_id)

        self._change(repository, f"remove_deployment {repository} {deployment_id}", remove)

    def remove_environment(self, repository: str, environment: str) -> None:
        self._change(
            repository,
            f"remove_environment {repository} {environment}",
            lambda: self._world.remove_environment_of(repository, environment),
        )

    def _change(self, repository: str, call: str, change: Callable[[], object]) -> None:
        """What may be gone already. That the repository is in sight is asked for first."""
        self._calls.called(call)
        asking(lambda: self._world.visible_repository(repository))
        try:
            change()
        except RefusedError as refused:
            if refused.status != 404:
                raise StalledError("ForgeRefused", refused.words) from refused
        else:
            self._calls.wrote(call)


class FakeRedeliveries:
    """Deliveries that failed are made with `lose`; one more attempt succeeds unless a fault is armed."""

    def __init__(self, calls: Calls, now: Callable[[], datetime]) -> None:
        self._calls = calls
        self._now = now
        self._failed: dict[int, FailedDelivery] = {}
        self.redelivered: list[str] = []
        """The GUID of each delivery for which one more attempt was asked, in order."""

    def lose(self, guid: str = "") -> FailedDelivery:
        """A delivery that the forge could not bring, now."""
        number = 1 + len(self._failed) + len(self.redelivered)
        lost = FailedDelivery(number, guid or f"lost-{number}", self._now())
        self._failed[lost.id] = lost
        return lost

    def list_failed_deliveries(self, since: datetime) -> Sequence[FailedDelivery]:
        self._calls.called("list_failed_deliveries")
        return [each for each in self._failed.values() if each.delivered_at >= since]

    def redeliver(self, delivery_id: int) -> None:
        call = f"redeliver {delivery_id}"
        self._calls.called(call)
        self.redelivered.append(self._failed.pop(delivery_id).guid)
        self._calls.wrote(call)


def asking(ask: Callable[[], Result]) -> Result:
    """What the adapters make of a refused question."""
    try:
        return ask()
    except RefusedError as refused:
        raise TransientError("ForgeForbidden", refused.words) from refused


def writing(write: Callable[[], Result]) -> Result:
    """What the adapters make of a refused write."""
    try:
        return write()
    except RefusedError as refused:
        raise StalledError("ForgeRefused", refused.words) from refused
