"""What is said on GitHub's pull requests, by whom, and what they may do."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from previews.adapters.forges.answers import (
    AbsentError,
    Request,
    TargetGoneError,
    find_own_comment,
    read_own_id,
    reads_the_same,
    repository_path,
)
from previews.adapters.forges.conversation import (
    asked_since,
    in_order,
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
        if known_id is not None:
            try:
                return self._edit(repository, known_id, body)
            except AbsentError:
                # Somebody removed it: it is looked for, and written anew if there is no other.
                pass
        path = repository_path(repository, "issues", number, "comments")
        ours = find_own_comment(
            Request("GET", path),
            self._connection.each(path, is_feedback=True),
            own_id=self._connection.own_id(repository),
            marker=marker,
        )
        if ours is None:
            _, made = self._connection.ask("POST", path, wants=dict, body={"body": body})
            return read_own_id(Request("POST", path), made)
        if not reads_the_same(ours.body, body):
            self._edit(repository, ours.id, body)
        return ours.id

    def _edit(self, repository: str, comment_id: int, body: str) -> int:
        path = repository_path(repository, "issues", "comments", comment_id)
        self._connection.ask("PATCH", path, wants=dict, body={"body": body})
        return comment_id
