"""What every route of the stand-in works with: the world, its rendering, and lists in pages."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar
from urllib.parse import urlencode

from tests.fakes.forge_things import APP_LOGIN, OWN_LOGIN, Repository
from tests.fakes.forge_world import ForgeWorld
from tests.github.feedback_rendering import FeedbackRenderer
from tests.github.server import Answer, Asked

PER_PAGE = 30
PER_PAGE_MAX = 100

Item = TypeVar("Item")


class Desk(ForgeWorld, ABC):
    """ForgeWorld, as GitHub shows it to a token's user and to a GitHub App."""

    render: FeedbackRenderer

    def __init__(self) -> None:
        super().__init__()
        self.ci_is_elsewhere = False
        """Whether what runs for commits are checks of another service rather than GitHub's own workflows."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The API's address, what a client is configured with."""

    @property
    @abstractmethod
    def violations(self) -> list[str]:
        """What GitHub's description says against what happened so far. A test may clear it."""

    @abstractmethod
    def is_app(self, asked: Asked) -> bool:
        """Whether a GitHub App asks, and not a token's user."""

    def login_of(self, asked: Asked) -> str:
        """Who asks."""
        return APP_LOGIN if self.is_app(asked) else OWN_LOGIN

    def named(self, in_path: Mapping[str, str]) -> Repository:
        """The repository that a path is about."""
        return self.visible_repository(f"{in_path['owner']}/{in_path['repo']}")

    def page(self, asked: Asked, path: str, items: list[Item]) -> tuple[list[Item], dict[str, str]]:
        """One page of a list, with the links to the others that GitHub gives: by the repository's id."""
        query = {name: values[0] for name, values in asked.query.items()}
        size = page_size(asked)
        page = int(query.get("page", 1))
        last = max(-(-len(items) // size), 1)
        numbers = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        useful: tuple[str, ...] = ("next", "last") if page == 1 else ("prev", "first")
        if 1 < page < last:
            useful = ("prev", "next", "last", "first")
        links = [
            f'<{self.url}{path}?{urlencode(query | {"page": numbers[name]})}>; rel="{name}"'
            for name in useful
        ]
        headers = {"Link": ", ".join(links)} if last > 1 else {}
        return items[(page - 1) * size : page * size], headers


def page_size(asked: Asked) -> int:
    (size,) = asked.query.get("per_page", [str(PER_PAGE)])
    return min(int(size), PER_PAGE_MAX)


Route: TypeAlias = Callable[[Desk, Asked, Mapping[str, str]], Answer]
"""Answers one operation. What it refuses it raises RefusedError for."""
Routes: TypeAlias = Mapping[tuple[str, str], Route]
"""By method and template, as GitHub's description has them."""
