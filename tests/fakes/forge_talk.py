"""What people and the manager say on the pull requests of a forge in memory. ForgeWorld is built on it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from previews.domain.conversation import Permission
from tests.fakes.forge_repositories import ForgeRepositories, utc_now
from tests.fakes.forge_things import (
    APP_LOGIN,
    COMMENT_LENGTH_MAX,
    DEVELOPER,
    OWN_LOGIN,
    Comment,
    RefusedError,
    Said,
)

OWN = frozenset({OWN_LOGIN, APP_LOGIN})


class ForgeTalk(ForgeRepositories):
    """Comments, reactions to them, and what people may do."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        super().__init__(now)
        self._comments: dict[int, Comment] = {}

    # What people do.

    def comment(self, repository: str, number: int, body: str, *, author: str = DEVELOPER) -> int:
        """A comment by somebody. Returns its id."""
        with self._lock:
            held = self._repository(repository)
            if number not in held.pull_requests:
                raise RefusedError(404, "Not Found")
            if len(body) > COMMENT_LENGTH_MAX:
                raise RefusedError(422, "Body is too long (maximum is 65536 characters)")
            now = self._moment()
            made = Comment(
                id=next(self._ids),
                repository_id=held.id,
                number=number,
                author=author,
                body=body,
                created_at=now,
                updated_at=now,
            )
            self._comments[made.id] = made
            self._put(held.pull_requests[number])
        self.comment_happened("created", made)
        return made.id

    def edit_comment(self, comment_id: int, body: str) -> Comment:
        """By its author, or by somebody with write permission."""
        with self._lock:
            before = self.comment_of(comment_id)
            if len(body) > COMMENT_LENGTH_MAX:
                raise RefusedError(422, "Body is too long (maximum is 65536 characters)")
            held = self.repository_of(before.repository_id)
            if before.number not in held.pull_requests:
                raise RefusedError(404, "Not Found")
            edited = replace(before, body=body, updated_at=self._moment())
            self._comments[comment_id] = edited
            self._put(held.pull_requests[before.number])
        self.comment_happened("edited", edited, changes={"body": {"from": before.body}})
        return edited

    def delete_comment(self, comment_id: int) -> None:
        with self._lock:
            gone = self._comments.pop(comment_id)
        self.comment_happened("deleted", gone)

    def set_permission(self, repository: str, login: str, permission: Permission) -> None:
        """What a person may do from now on. Nobody knows a person for whom it was never said."""
        with self._lock:
            self._repository(repository).permissions[login] = permission

    # What there is.

    def comments(self, repository: str, number: int) -> list[Said]:
        """All of a pull request, the oldest first."""
        return [
            Said(each.id, each.author, each.body) for each in self.comments_of(repository, number)
        ]

    def comments_of(self, repository: str, number: int) -> list[Comment]:
        """The same with all that is held of them."""
        with self._lock:
            repository_id = self._repository(repository).id
            return [
                each
                for each in self._comments.values()
                if (each.repository_id, each.number) == (repository_id, number)
            ]

    def comment_of(self, comment_id: int) -> Comment:
        with self._lock:
            if comment_id not in self._comments:
                raise RefusedError(404, "Not Found")
            return self._comments[comment_id]

    def reactions(self, repository: str, comment_id: int) -> list[str]:
        """What there is of the manager's on a comment."""
        self.visible_repository(repository)
        return [what for who, what in self.comment_of(comment_id).reactions if who in OWN]

    # What the manager does, through its forge.

    def permission(self, repository: str, login: str) -> Permission | None:
        """None for somebody whom nobody knows."""
        with self._lock:
            return self.visible_repository(repository).permissions.get(login)

    def add_reaction(self, comment_id: int, login: str, content: str) -> bool:
        """Whether it is a new one."""
        with self._lock:
            before = self.comment_of(comment_id)
            if (login, content) in before.reactions:
                return False
            reactions = (*before.reactions, (login, content))
            self._comments[comment_id] = replace(before, reactions=reactions)
            return True

    # For those who build on it.

    def comment_happened(self, action: str, comment: Comment, **details: object) -> None:
        """Called after each change of a comment, outside the lock, with what a webhook would say."""
