"""Comments, and what people may do, as GitHub and Gitea give them. Every text in them is a stranger's."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from previews.adapters.forges.answers import (
    GHOST,
    AbsentError,
    Headers,
    Json,
    Request,
    find_own_comment,
    malformed,
    read_own_id,
    read_time,
    reads_the_same,
    repository_path,
    text,
    whole_number,
)
from previews.domain.conversation import Permission, PostedComment

BODY_LENGTH_MAX = 65_536
"""What is kept of a comment's text: GitHub allows no more."""
OVERLAP = timedelta(seconds=1)
"""How much earlier a forge is asked from: its times are whole seconds, and `since` may leave out its own."""

_SEPARATORS = frozenset("/\\%?#")
_PERMISSIONS = {
    "none": Permission.NONE,
    "read": Permission.READ,
    "triage": Permission.READ,
    "write": Permission.WRITE,
    "maintain": Permission.WRITE,
    "admin": Permission.ADMIN,
    "owner": Permission.ADMIN,
}


class Ask(Protocol):
    """One request of a forge's connection."""

    def __call__(
        self, verb: str, url: str, /, *, wants: type, body: Json = None
    ) -> tuple[Headers, Json]: ...


def keep_comment(
    repository: str,
    number: int,
    *,
    marker: str,
    body: str,
    known_id: int | None,
    ask: Ask,
    list_all: Callable[[str], Iterable[Json]],
    own_id: Callable[[], int],
) -> int:
    """What `forge_ports.Forge.ensure_comment` promises."""

    def edit(comment_id: int) -> int:
        ask(
            "PATCH",
            repository_path(repository, "issues", "comments", comment_id),
            wants=dict,
            body={"body": body},
        )
        return comment_id

    if known_id is not None:
        try:
            return edit(known_id)
        except AbsentError:
            # Somebody removed it: it is looked for, and written anew if there is no other.
            pass
    path = repository_path(repository, "issues", number, "comments")
    ours = find_own_comment(Request("GET", path), list_all(path), own_id=own_id(), marker=marker)
    if ours is None:
        _, made = ask("POST", path, wants=dict, body={"body": body})
        return read_own_id(Request("POST", path), made)
    return ours.id if reads_the_same(ours.body, body) else edit(ours.id)


def read_comment(asked: Request, document: Json, *, own_id: int) -> PostedComment:
    """A comment as the forge gives it. Raises for one that is not whole."""
    try:
        author = document["user"] or {}
        return PostedComment(
            id=whole_number(document["id"]),
            author=text(author.get("login") or GHOST),
            is_ours=author.get("id") == own_id,
            is_of_bot=author.get("type") == "Bot",
            body=text(document["body"] or "")[:BODY_LENGTH_MAX],
            created_at=read_time(document["created_at"]),
            updated_at=read_time(document["updated_at"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise malformed(asked, f"an incomplete comment ({error!r})") from error


def asked_since(since: datetime | None) -> dict[str, str]:
    """The parameter that leaves out older comments."""
    if since is None:
        return {}
    return {"since": (since - OVERLAP).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def in_order(comments: list[PostedComment], since: datetime | None) -> list[PostedComment]:
    """The oldest first, without those that were only asked for to be sure, each once."""
    wanted = {each.id: each for each in comments if since is None or each.updated_at >= since}
    return sorted(wanted.values(), key=lambda each: (each.created_at, each.id))


def is_nobody(login: str) -> bool:
    """Whether nobody can be called so: it would lead to another address than that of a person."""
    return login in {"", ".", ".."} or not _SEPARATORS.isdisjoint(login)


def read_permission(asked: Request, document: Json) -> Permission:
    """What a person may do. A word that is not known raises: it is no permission, nor the lack of one."""
    said = document.get("permission")
    if not isinstance(said, str) or said not in _PERMISSIONS:
        raise malformed(asked, f"the permission {said!r}")
    return _PERMISSIONS[said]
