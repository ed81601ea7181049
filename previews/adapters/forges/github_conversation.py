"""What is said on GitHub's pull requests, by whom, and what they may do."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from urllib.parse import quote

from previews.adapters.forges.answers import (
    AbsentError,
    Request,
    TargetGoneError,
    repository_path,
)
from previews.adapters.forges.conversation import (
    asked_since,
    in_order,
    is_nobody,
    keep_comment,
    read_comment,
    read_permission,
)
from previews.adapters.forges.github_connection import GitHubConnection
from previews.domain.conversation import Permission, PostedComment, Reaction


class GitHubConversation:
    """The comments' part of ports.Forge. Safe from any thread."""

    def __init__(self, connection: GitHubConnection) -> None:
        self._connection = connection

    def list_comments(
        self, repository: str, number: int, *, since: datetime | None
    ) -> Sequence[PostedComment]:
        path = repository_path(repository, "issues", number, "comments")
        asked = Request("GET", path)
        own_id = self._connection.own_id(repository)
        found = [
            read_comment(asked, each, own_id=own_id)
            for each in self._connection.each(path, parameters=asked_since(since))
        ]
        return in_order(found, since)

    def permission_of(self, repository: str, login: str) -> Permission:
        if is_nobody(login):
            return Permission.NONE
        person = quote(login, safe="")
        path = repository_path(repository, "collaborators", person, "permission")
        try:
            _, document = self._connection.ask("GET", path, wants=dict)
        except AbsentError:
            # GitHub says the same of what the token may not see, so the repository itself must be in sight.
            self._connection.ask("GET", repository_path(repository), wants=dict)
            return Permission.NONE
        return read_permission(Request("GET", path), document)

    def react(self, repository: str, comment_id: int, reaction: Reaction) -> None:
        path = repository_path(repository, "issues", "comments", comment_id, "reactions")
        try:
            self._connection.ask("POST", path, wants=dict, body={"content": reaction.value})
        except TargetGoneError:
            # Nobody can see an answer to what is gone.
            return

    def ensure_comment(
        self, repository: str, number: int, *, marker: str, body: str, known_id: int | None
    ) -> int:
        return keep_comment(
            repository,
            number,
            marker=marker,
            body=body,
            known_id=known_id,
            ask=self._connection.ask,
            list_all=partial(self._connection.each, is_feedback=True),
            own_id=partial(self._connection.own_id, repository),
        )
