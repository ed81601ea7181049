"""What is shown beside a forge's pull requests: statuses, runs, checks, deployments. ForgeWorld is built on it."""

from dataclasses import replace

from previews.domain.feedback import Check
from previews.domain.preview import CIRun
from previews.domain.record import CommitStatus
from tests.fakes.forge_repositories import ForgeRepositories
from tests.fakes.forge_things import (
    DESCRIPTION_LENGTH_MAX,
    STATUSES_MAX,
    DeploymentStatus,
    HeldCheck,
    HeldDeployment,
    RefusedError,
    Repository,
)


class ForgeFeedback(ForgeRepositories):
    """By the rules that GitHub's documentation gives for each."""

    # What people and other services do.

    def run_ci(self, repository: str, head_sha: str, run: CIRun) -> None:
        """CI begins something for a commit, or says how it goes on."""
        with self._lock:
            self._repository(repository).runs.append((head_sha, run))

    def rerun_check(self, repository: str, check_id: int) -> None:
        """Somebody presses the button beside a check run."""
        with self._lock:
            held = self._repository(repository)
            asked = self._check(held, check_id)
        self.check_happened("rerequested", held, asked)

    # What there is.

    def runs(self, repository: str, head_sha: str) -> list[CIRun]:
        """How each run of a commit stands, the newest first."""
        with self._lock:
            held = self.visible_repository(repository)
            newest: dict[str, CIRun] = {}
            for sha, run in reversed(held.runs):
                if sha == head_sha:
                    newest.setdefault(run.name, run)
            return list(newest.values())

    def statuses(self, repository: str, head_sha: str) -> list[CommitStatus]:
        """All of a commit, the oldest first."""
        with self._lock:
            return [
                status for sha, status in self._repository(repository).statuses if sha == head_sha
            ]

    def check_runs(self, repository: str, head_sha: str) -> list[HeldCheck]:
        """Those of the manager on a commit, the oldest first."""
        with self._lock:
            checks = self._repository(repository).checks.values()
            return [each for each in checks if each.check.head_sha == head_sha]

    def deployments_of(self, repository: str) -> list[HeldDeployment]:
        """All of a repository, the oldest first."""
        with self._lock:
            return list(self._repository(repository).deployments.values())

    def environments(self, repository: str) -> set[str]:
        with self._lock:
            return set(self._repository(repository).environments)

    # What the manager does, through its forge.

    def add_status(self, repository: str, head_sha: str, status: CommitStatus) -> None:
        with self._lock:
            held = self.visible_repository(repository)
            _must_know(held, head_sha)
            if len(status.description) > DESCRIPTION_LENGTH_MAX:
                raise RefusedError(422, "Description is too long (maximum is 140 characters)")
            there = [
                each
                for sha, each in held.statuses
                if (sha, each.context) == (head_sha, status.context)
            ]
            if len(there) >= STATUSES_MAX:
                raise RefusedError(
                    422, "This SHA and context has reached the maximum number of statuses."
                )
            held.statuses.append((head_sha, status))

    def put_check(self, repository: str, check: Check, check_id: int | None = None) -> HeldCheck:
        """A new check run, or what an old one says from now on."""
        with self._lock:
            held = self.visible_repository(repository)
            _must_know(held, check.head_sha)
            if check_id is not None:
                self._check(held, check_id)
            made = HeldCheck(check_id or next(self._ids), check, self._moment())
            held.checks[made.id] = made
            return made

    def deploy(
        self,
        repository: str,
        *,
        creator: str,
        task: str,
        environment: str,
        head_sha: str,
        description: str,
    ) -> HeldDeployment:
        """A new deployment, and the environment unless it is there."""
        with self._lock:
            held = self.visible_repository(repository)
            _must_know(held, head_sha)
            made = HeldDeployment(
                id=next(self._ids),
                creator=creator,
                task=task,
                environment=environment,
                head_sha=head_sha,
                description=description,
                created_at=self._moment(),
            )
            held.deployments[made.id] = made
            held.environments.add(environment)
            return made

    def deployment(self, repository: str, deployment_id: int) -> HeldDeployment:
        with self._lock:
            found = self.visible_repository(repository).deployments.get(deployment_id)
            if found is None:
                raise RefusedError(404, "Not Found")
            return found

    def say_of_deployment(
        self,
        repository: str,
        deployment_id: int,
        state: str,
        *,
        description: str = "",
        environment_url: str = "",
        log_url: str = "",
    ) -> DeploymentStatus:
        with self._lock:
            before = self.deployment(repository, deployment_id)
            if len(description) > DESCRIPTION_LENGTH_MAX:
                raise RefusedError(422, "Description is too long (maximum is 140 characters)")
            said = DeploymentStatus(
                id=next(self._ids),
                state=state,
                description=description,
                environment_url=environment_url,
                log_url=log_url,
                created_at=self._moment(),
            )
            after = replace(before, statuses=(*before.statuses, said))
            self.visible_repository(repository).deployments[deployment_id] = after
            return said

    def remove_deployment_of(self, repository: str, deployment_id: int) -> None:
        """As GitHub has it: the last one of an environment always, another only if it is not active."""
        with self._lock:
            held = self.visible_repository(repository)
            found = self.deployment(repository, deployment_id)
            others = [
                each
                for each in held.deployments.values()
                if each.environment == found.environment and each is not found
            ]
            if others and found.state == "success":
                raise RefusedError(
                    422,
                    "We cannot delete an active deployment unless it is the only deployment in a"
                    " given environment.",
                )
            del held.deployments[deployment_id]

    def remove_environment_of(self, repository: str, environment: str) -> None:
        with self._lock:
            held = self.visible_repository(repository)
            if environment not in held.environments:
                raise RefusedError(404, "Not Found")
            held.environments.remove(environment)

    # For those who build on it.

    def check_happened(self, action: str, repository: Repository, check: HeldCheck) -> None:
        """Called after what people do with a check run, outside the lock."""

    @staticmethod
    def _check(held: Repository, check_id: int) -> HeldCheck:
        if check_id not in held.checks:
            raise RefusedError(404, "Not Found")
        return held.checks[check_id]


def _must_know(held: Repository, head_sha: str) -> None:
    if head_sha not in held.commits:
        raise RefusedError(422, f"No commit found for SHA: {head_sha}")
