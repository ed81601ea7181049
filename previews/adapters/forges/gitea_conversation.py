"""What is said on Gitea's pull requests, by whom, and what they may do."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from previews.adapters.forges.answers import (
    AbsentError,
    Json,
    Request,
    malformed,
    repository_path,
    whole_number,
)
from previews.adapters.forges.conversation import (
    asked_since,
    in_order,
    is_nobody,
    keep_comment,
    read_comment,
    read_permission,
)
from previews.adapters.forges.gitea_connection import GiteaConnection
from previews.domain.conversation import Permission, PostedComment, Reaction
from previews.errors import StalledError, TransientError

WRITES = frozenset({"write", "admin", "owner"})


class GiteaConversation:
    """The comments' part of ports.Forge. Safe from any thread."""

    def __init__(self, connection: GiteaConnection) -> None:
        self._connection = connection

    def list_comments(
        self, repository: str, number: int, *, since: datetime | None
    ) -> Sequence[PostedComment]:
        path = repository_path(repository, "issues", number, "comments")
        asked = Request("GET", path)
        own_id = self._connection.own_id()
        found = [
            read_comment(asked, each, own_id=own_id)
            for each in self._connection.list_all(path, **asked_since(since))
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
            self._connection.prove_in_sight(repository)
            return Permission.NONE
        said = read_permission(Request("GET", path), document)
        if said.may_write or not self._writes_by_a_team(repository, person):
            return said
        return Permission.WRITE

    def _writes_by_a_team(self, repository: str, person: str) -> bool:
        """What Gitea says of a person leaves out what teams may do, unless they administer the repository.

        Teams that the token may not look into do not count: then somebody may do less than he could, never more.
        """
        path = repository_path(repository, "teams")
        teams = [
            team_id
            for each in self._see(path, wants=list) or ()
            if (team_id := _read_writing_team(Request("GET", path), each)) is not None
        ]
        return any(
            self._see(f"/teams/{team}/members/{person}", wants=dict) is not None for team in teams
        )

    def _see(self, path: str, *, wants: type) -> Json:
        """None for what is not there, or not for this token."""
        try:
            _, document = self._connection.ask("GET", path, wants=wants)
        except TransientError as error:
            if error.reason != "ForgeForbidden":
                raise
            return None
        return document

    def react(self, repository: str, comment_id: int, reaction: Reaction) -> None:
        comment = repository_path(repository, "issues", "comments", comment_id)
        said = {"content": reaction.value}
        try:
            self._connection.ask("POST", f"{comment}/reactions", wants=dict, body=said)
        except StalledError:
            if not self._is_gone(repository, comment):
                raise

    def _is_gone(self, repository: str, path: str) -> bool:
        try:
            self._connection.ask("GET", path, wants=dict)
        except AbsentError:
            self._connection.prove_in_sight(repository)
            return True
        return False

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
            list_all=self._connection.list_all,
            own_id=self._connection.own_id,
        )


def _read_writing_team(asked: Request, document: Json) -> int | None:
    """The id of a team whose members may push; None for another."""
    try:
        may = (document["units_map"] or {}).get("repo.code")
        return whole_number(document["id"]) if may in WRITES else None
    except (AttributeError, KeyError, TypeError) as error:
        raise malformed(asked, f"an incomplete team ({error!r})") from error
