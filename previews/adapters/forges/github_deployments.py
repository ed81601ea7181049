"""Deployments and environments at GitHub."""

from collections.abc import Sequence
from types import NoneType
from urllib.parse import quote

from previews.adapters.forges.answers import (
    AbsentError,
    Json,
    Request,
    TargetGoneError,
    malformed,
    read_own_id,
    repository_path,
    text,
    whole_number,
)
from previews.adapters.forges.github_connection import GitHubConnection
from previews.domain.feedback import Deployment, DeploymentState, PostedDeployment


class GitHubDeployments:
    """Implements forge_ports.Deployments. Safe from any thread."""

    def __init__(self, connection: GitHubConnection) -> None:
        self._connection = connection

    def ensure_deployment(
        self, repository: str, deployment: Deployment, known_id: int | None
    ) -> int:
        said = _status(deployment)
        if known_id is not None:
            try:
                return self._say(repository, known_id, said)
            except TargetGoneError:
                # It is looked for, and made anew if there is no other.
                pass
        found = self._find(repository, deployment)
        made = self._create(repository, deployment) if found is None else found
        return self._say(repository, made, said)

    def list_deployments(self, repository: str, task: str = "") -> Sequence[PostedDeployment]:
        return self._list(repository, task, {"task": task} if task else {})

    def set_deployment_state(
        self, repository: str, deployment_id: int, state: DeploymentState
    ) -> None:
        try:
            self._say(repository, deployment_id, {"state": state.value, "auto_inactive": False})
        except TargetGoneError:
            self._must_see(repository)

    def remove_deployment(self, repository: str, deployment_id: int) -> None:
        # GitHub deletes no active one as long as its environment has others.
        self.set_deployment_state(repository, deployment_id, DeploymentState.INACTIVE)
        self._delete(repository, repository_path(repository, "deployments", deployment_id))

    def remove_environment(self, repository: str, environment: str) -> None:
        name = quote(environment, safe="")
        self._delete(repository, repository_path(repository, "environments", name))

    def _create(self, repository: str, deployment: Deployment) -> int:
        path = repository_path(repository, "deployments")
        body = {
            "ref": deployment.head_sha,
            "task": deployment.task,
            "environment": deployment.environment,
            "description": deployment.description,
            # A preview waits for no check of its commit, and merges nothing into it.
            "required_contexts": [],
            "auto_merge": False,
            "transient_environment": True,
            "production_environment": False,
        }
        _, made = self._connection.ask("POST", path, wants=dict, body=body)
        return read_own_id(Request("POST", path), made)

    def _find(self, repository: str, deployment: Deployment) -> int | None:
        query = {"task": deployment.task, "sha": deployment.head_sha}
        found = [
            each.id
            for each in self._list(repository, deployment.task, query, is_feedback=True)
            if (each.environment, each.head_sha) == (deployment.environment, deployment.head_sha)
        ]
        return max(found, default=None)

    def _list(
        self, repository: str, task: str, query: dict[str, str], *, is_feedback: bool = False
    ) -> list[PostedDeployment]:
        path = repository_path(repository, "deployments")
        asked = Request("GET", path)
        listed = self._connection.each(path, is_feedback=is_feedback, parameters=query)
        found = [_read_deployment(asked, each) for each in listed]
        return [each for each in found if task in {"", each.task}]

    def _say(self, repository: str, deployment_id: int, said: dict[str, Json]) -> int:
        path = repository_path(repository, "deployments", deployment_id, "statuses")
        self._connection.ask("POST", path, wants=dict, body=said)
        return deployment_id

    def _delete(self, repository: str, path: str) -> None:
        try:
            self._connection.ask("DELETE", path, wants=NoneType)
        except AbsentError:
            self._must_see(repository)

    def _must_see(self, repository: str) -> None:
        """Prove that something is gone rather than out of the token's sight, of which GitHub says the same."""
        self._connection.ask("GET", repository_path(repository), wants=dict)


def _status(deployment: Deployment) -> dict[str, Json]:
    addresses = {"environment_url": deployment.environment_url, "log_url": deployment.log_url}
    return {
        "state": deployment.state.value,
        "description": deployment.description,
        # Another preview of the same environment is no successor of this one.
        "auto_inactive": False,
        **{name: url for name, url in addresses.items() if url},
    }


def _read_deployment(asked: Request, document: Json) -> PostedDeployment:
    try:
        return PostedDeployment(
            id=whole_number(document["id"]),
            task=text(document["task"]),
            environment=text(document["environment"]),
            head_sha=text(document["sha"]),
        )
    except (KeyError, TypeError) as error:
        raise malformed(asked, f"an incomplete deployment ({error!r})") from error
