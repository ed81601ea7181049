"""Gitea (and Forgejo) by its API v1. docs/forges.md says where it differs from GitHub."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from previews.adapters.forges.answers import (
    AbsentError,
    Request,
    read_pull_request,
    repository_path,
)
from previews.adapters.forges.gitea_connection import PER_PAGE, TIMEOUT_SECONDS, GiteaConnection
from previews.adapters.forges.gitea_contents import GiteaContents
from previews.adapters.forges.gitea_conversation import GiteaConversation
from previews.adapters.forges.gitea_listing import GiteaListing
from previews.adapters.forges.runs import choose_run, read_statuses
from previews.domain.conversation import Permission, PostedComment, Reaction
from previews.domain.forge_ports import ChangedPaths, Checks, Deployments, Redeliveries
from previews.domain.preview import CIRun, HeadSha, PullRequest
from previews.domain.record import STATUS_PREFIX, CommitStatus


class GiteaForge:
    """Implements ports.Forge for a token's user. Safe from any thread.

    Gitea has no check runs, no deployments, and no list of the webhooks that it could not deliver.
    """

    checks: Checks | None = None
    deployments: Deployments | None = None
    redeliveries: Redeliveries | None = None

    def __init__(
        self, *, api_url: str, token_file: Path, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        """`api_url` is the server's address: its API is below it."""
        self._connection = GiteaConnection(
            api_url=api_url, token_file=token_file, timeout_seconds=timeout_seconds
        )
        self._contents = GiteaContents(self._connection)
        self._listing = GiteaListing(self._connection, self.fetch_pull_request)
        self._conversation = GiteaConversation(self._connection)

    def close(self) -> None:
        """Let go of the connections."""
        self._connection.close()

    def check(self) -> None:
        self._connection.fetch_own_id()

    def fetch_pull_request(self, repository: str, number: int) -> PullRequest | None:
        path = repository_path(repository, "pulls", number)
        try:
            _, document = self._connection.ask("GET", path, wants=dict)
        except AbsentError:
            self._connection.prove_in_sight(repository)
            return None
        return read_pull_request(Request("GET", path), document)

    def list_open_pull_requests(self, repository: str) -> list[PullRequest]:
        return self._listing.read(repository)

    def set_commit_status(self, repository: str, head_sha: HeadSha, status: CommitStatus) -> None:
        said = {
            "state": status.state.value,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
        }
        path = repository_path(repository, "statuses", head_sha)
        self._connection.ask("POST", path, wants=dict, body=said)

    def find_run(self, repository: str, head_sha: HeadSha) -> CIRun | None:
        # Gitea's own actions report each job as a status, as every CI beside it does.
        path = repository_path(repository, "commits", head_sha, "status")
        query = {"limit": str(PER_PAGE)}
        _, document = self._connection.ask("GET", path, wants=dict, parameters=query)
        asked, server_url = Request("GET", path), self._connection.server_url
        return choose_run(
            read_statuses(asked, document, server_url=server_url, not_of=STATUS_PREFIX)
        )

    def list_changed_paths(self, repository: str, number: int) -> ChangedPaths:
        return self._contents.list_changed_paths(repository, number)

    def read_file(self, repository: str, branch: str, path: str) -> str | None:
        return self._contents.read_file(repository, branch, path)

    def list_files(self, repository: str, head_sha: HeadSha, folder: str) -> Mapping[str, str]:
        return self._contents.list_files(repository, head_sha, folder)

    def list_comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[PostedComment]:
        return self._conversation.list_comments(repository, number, since=since)

    def permission_of(self, repository: str, login: str) -> Permission:
        return self._conversation.permission_of(repository, login)

    def react(self, repository: str, number: int, comment_id: int, reaction: Reaction) -> None:
        del number  # A comment's own id is enough for Gitea.
        self._conversation.react(repository, comment_id, reaction)

    def ensure_comment(
        self, repository: str, number: int, *, marker: str, body: str, known_id: int | None = None
    ) -> int:
        return self._conversation.ensure_comment(
            repository, number, marker=marker, body=body, known_id=known_id
        )
