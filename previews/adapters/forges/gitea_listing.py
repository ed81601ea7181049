"""Gitea's list of open pull requests, with a second look at some of them each time.

What the list shows as a pull request's head is a reference that Gitea moves after each push. A Gitea that is killed in
between never moves it, and its list shows the former commit until somebody pushes again. Read by itself a pull request
shows the commit that its branch is at, so that within some listings each one is seen as it is.
"""

from collections.abc import Callable, Sequence

import structlog

from previews.adapters.forges.answers import (
    Request,
    malformed,
    read_pull_request,
    repository_path,
)
from previews.adapters.forges.gitea_connection import GiteaConnection
from previews.domain.preview import PullRequest
from previews.errors import PreviewsError

LOOKED_AT = 10
"""Pull requests of a repository that are read by themselves, at each listing."""

_log = structlog.get_logger("previews.gitea")


class GiteaListing:
    """Safe from any thread: at worst two of them look at the same ones."""

    def __init__(
        self, connection: GiteaConnection, fetch: Callable[[str, int], PullRequest | None]
    ) -> None:
        self._connection = connection
        self._fetch = fetch
        self._looked_at: dict[str, int] = {}
        """By repository, the last number whose turn it was."""
        self._behind: dict[str, set[int]] = {}
        """By repository, those that the list showed otherwise than they were: it still does, until somebody pushes."""

    def read(self, repository: str) -> list[PullRequest]:
        """Every open pull request. A list that cannot be proven complete raises TransientError instead."""
        by_number = self._list(repository)
        turn = self._turn(repository, sorted(by_number))
        again = sorted(self._behind.get(repository, set()) & by_number.keys() - {*turn})
        behind: set[int] = set()
        for number in [*turn, *again[:LOOKED_AT]]:
            if number in turn:
                self._looked_at[repository] = number
            try:
                alone = self._fetch(repository, number) or by_number[number]
            except PreviewsError as error:
                # What the list says still counts. The others' turn is the next time.
                _log.info("second look", reason=error.reason, message=error.message)
                break
            if alone.head_sha != by_number[number].head_sha:
                behind.add(number)
            by_number[number] = alone
        self._behind[repository] = behind
        return [each for each in by_number.values() if each.is_open]

    def _list(self, repository: str) -> dict[int, PullRequest]:
        path = repository_path(repository, "pulls")
        asked = Request("GET", path)
        found = self._connection.list_all(path, state="open")
        listed = [read_pull_request(asked, each) for each in found]
        by_number = {each.number: each for each in listed}
        if len(by_number) != len(listed):
            raise malformed(asked, "a list that changed while it was read")
        return by_number

    def _turn(self, repository: str, numbers: Sequence[int]) -> Sequence[int]:
        """The next ones after those of the last listing, and from the first again after the last."""
        last = self._looked_at.get(repository, 0)
        later = [each for each in numbers if each > last]
        return [*later, *(each for each in numbers if each <= last)][:LOOKED_AT]
