"""The forges that the contract of the port is told to: the fake, GitHub's adapter on the stand-in, and Gitea's."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from previews.adapters.forges.gitea import GiteaForge
from previews.adapters.forges.github import GitHubForge
from previews.adapters.forges.github_credentials import TokenFile
from previews.domain.conversation import Permission
from previews.domain.forge_ports import Forge
from previews.domain.preview import CIRun, HeadSha
from previews.domain.record import CommitStatus
from tests.e2e.gitea_world import PAGE_LENGTH, GiteaWorld, short_pages
from tests.fakes.forge import FakeForge
from tests.fakes.forge_things import Said
from tests.github.standin import StandInGitHub

SHOP = "acme/shop"
MARKER = "<!-- previews:acme -->"
BODY = f"{MARKER}\n### Preview\n\n| Project | Status |\n| --- | --- |\n| shop | **Live** ✓ |\n"


class World(Protocol):
    """People at a forge."""

    def open_pull_request(
        self,
        repository: str,
        branch: str = ...,
        title: str = ...,
        *,
        from_fork: bool = ...,
        is_draft: bool = ...,
        base_branch: str = ...,
        files: Mapping[str, str | None] | None = ...,
    ) -> int: ...
    def push(
        self, repository: str, number: int, *, files: Mapping[str, str | None] | None = ...
    ) -> HeadSha: ...
    def edit(self, repository: str, number: int, *, title: str) -> None: ...
    def retarget(self, repository: str, number: int, base_branch: str) -> None: ...
    def set_draft(self, repository: str, number: int, *, is_draft: bool) -> None: ...
    def set_labels(self, repository: str, number: int, *labels: str) -> None: ...
    def close(self, repository: str, number: int) -> None: ...
    def reopen(self, repository: str, number: int) -> None: ...
    def delete_fork(self, repository: str, number: int) -> None: ...
    def write_file(
        self, repository: str, path: str, content: str | bytes | None, *, branch: str = ...
    ) -> None: ...
    def comment(self, repository: str, number: int, body: str) -> int: ...
    def edit_comment(self, comment_id: int, body: str) -> object: ...
    def delete_comment(self, comment_id: int) -> None: ...
    def set_permission(self, repository: str, login: str, permission: Permission) -> None: ...
    def rename(self, repository: str, name: str) -> None: ...
    def hide(self, repository: str) -> None: ...
    def comments(self, repository: str, number: int) -> list[Said]: ...
    def reactions(self, repository: str, comment_id: int) -> list[str]: ...
    def statuses(self, repository: str, head_sha: str) -> list[CommitStatus]: ...
    def run_ci(self, repository: str, head_sha: str, run: CIRun) -> None: ...


@dataclass(frozen=True)
class Place:
    """A forge, and one repository at it that the manager may see and write to."""

    forge: Forge
    world: World
    repository: str
    author: str
    more_than_a_page: int


def fake_place() -> Place:
    forge = FakeForge()
    forge.add_repository(SHOP)
    return Place(forge, forge, SHOP, "octo-dev", 3)


@contextmanager
def github_place(token_file: Path) -> Iterator[Place]:
    with StandInGitHub() as standin:
        token_file.write_text(f"{standin.token}\n")
        standin.add_repository(SHOP)
        forge = GitHubForge(api_url=standin.url, credentials=TokenFile(token_file))
        yield Place(forge, standin, SHOP, "octo-dev", 101)


@contextmanager
def gitea_place(token_file: Path, world: GiteaWorld) -> Iterator[Place]:
    token_file.write_text(f"{world.token}\n")
    with (
        short_pages(world.url) as url,
        closing(GiteaForge(api_url=url, token_file=token_file)) as forge,
    ):
        repository = world.add_repository()
        yield Place(forge, world, repository, world.author, PAGE_LENGTH + 1)
