"""GitHub through PyGithub's objects, over a connection that proves every answer (github_connection.py)."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from github.Commit import Commit

from previews.adapters.forges.answers import (
    AbsentError,
    Request,
    read_pull_request,
    repository_path,
)
from previews.adapters.forges.github_checks import GitHubChecks
from previews.adapters.forges.github_connection import TIMEOUT_SECONDS, GitHubConnection
from previews.adapters.forges.github_contents import GitHubContents
from previews.adapters.forges.github_conversation import GitHubConversation
from previews.adapters.forges.github_credentials import Credentials
from previews.adapters.forges.github_deployments import GitHubDeployments
from previews.adapters.forges.github_redeliveries import GitHubRedeliveries
from previews.adapters.forges.runs import RUNS_READ, choose_run, read_runs
from previews.domain.conversation import Permission, PostedComment, Reaction
from previews.domain.forge_ports import ChangedPaths
from previews.domain.preview import CIRun, HeadSha, PullRequest
from previews.domain.record import STATUS_PREFIX, CommitStatus


class GitHubForge:
    """Implements forge_ports.Forge for whoever the connection asks as. Safe from any thread."""

    def __init__(
        self,
        *,
        api_url: str,
        credentials: Credentials,
        timeout_seconds: int = TIMEOUT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        connection = GitHubConnection(
            api_url=api_url,
            credentials=credentials,
            timeout_seconds=timeout_seconds,
            monotonic=monotonic,
        )
        self.connection = connection
        self._contents = GitHubContents(connection)
        self._conversation = GitHubConversation(connection)
        # GitHub gives these to Apps alone, but for deployments: a token that may write statuses need not be one that
        # may write those.
        is_app = connection.is_app
        self.checks = GitHubChecks(connection) if is_app else None
        self.deployments = GitHubDeployments(connection) if is_app else None
        self.redeliveries = GitHubRedeliveries(connection) if is_app else None

    def fetch_pull_request(self, repository: str, number: int) -> PullRequest | None:
        path = repository_path(repository, "pulls", number)
        try:
            return self.connection.fetch(path, read_pull_request)
        except AbsentError:
            # GitHub says the same of what the token may not see, so the repository itself must be in sight.
            self.connection.ask("GET", repository_path(repository), wants=dict)
            return None

    def list_open_pull_requests(self, repository: str) -> list[PullRequest]:
        path = repository_path(repository, "pulls")
        listed = self.connection.fetch_all(path, read_pull_request, state="open")
        # One that is opened meanwhile pushes another to the next page, where it comes again.
        by_number = {each.number: each for each in listed if each.is_open}
        return list(by_number.values())

    def list_changed_paths(self, repository: str, number: int) -> ChangedPaths:
        return self._contents.list_changed_paths(repository, number)

    def read_file(self, repository: str, branch: str, path: str) -> str | None:
        return self._contents.read_file(repository, branch, path)

    def list_comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[PostedComment]:
        return self._conversation.list_comments(repository, number, since=since)

    def permission_of(self, repository: str, login: str) -> Permission:
        return self._conversation.permission_of(repository, login)

    def react(self, repository: str, number: int, comment_id: int, reaction: Reaction) -> None:  # noqa: ARG002 - a comment's id is enough here
        self._conversation.react(repository, comment_id, reaction)

    def set_commit_status(self, repository: str, head_sha: HeadSha, status: CommitStatus) -> None:
        url = repository_path(repository, "commits", head_sha)
        commit = Commit(self.connection.requester, url=url)
        target = {"target_url": status.target_url} if status.target_url else {}
        commit.create_status(
            status.state, description=status.description, context=status.context, **target
        )

    def ensure_comment(
        self, repository: str, number: int, *, marker: str, body: str, known_id: int | None = None
    ) -> int:
        return self._conversation.ensure_comment(
            repository, number, marker=marker, body=body, known_id=known_id
        )

    def list_files(self, repository: str, head_sha: HeadSha, folder: str) -> Mapping[str, str]:
        return self._contents.list_files(repository, head_sha, folder)

    def find_run(self, repository: str, head_sha: HeadSha) -> CIRun | None:
        # Whatever runs elsewhere than in GitHub Actions reports as a check.
        for path, list_name in (
            (repository_path(repository, "actions", "runs"), "workflow_runs"),
            (repository_path(repository, "commits", head_sha, "check-runs"), "check_runs"),
        ):
            query: dict[str, Any] = {"per_page": RUNS_READ}
            if list_name == "workflow_runs":
                query["head_sha"] = head_sha
            _, document = self.connection.ask("GET", path, wants=dict, parameters=query)
            found = read_runs(Request("GET", path), document, list_name, not_of=STATUS_PREFIX)
            if found:
                return choose_run(found)
        return None

    def check(self) -> None:
        self.connection.check()
