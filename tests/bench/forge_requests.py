"""What GitHub is asked for, counted: in the life of one pull request, and by a resync when nothing changes.

The whole manager works as an App at the stand-in, on a clock that only this moves; all else around it is in memory.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from previews.adapters.forges.github import GitHubForge
from previews.domain.ports import Store
from previews.domain.preview import Phase, PreviewKey
from previews.domain.project import Project
from previews.domain.record import PreviewRecord
from previews.reconcile.world import World
from tests.bench.figures import Part
from tests.fakes.forge import FakeForge
from tests.fakes.surroundings import BEGIN
from tests.fakes.town import Town, project
from tests.github.as_app import app_forge
from tests.github.standin import StandInGitHub

REPOSITORIES = 200
OPEN_IN_EACH = 25
SETTLE_SECONDS = 900.0


class GitHubTown(Town):
    """A town whose forge is the stand-in, reached over HTTP."""

    def __init__(
        self, github: StandInGitHub, folder: Path, projects: Sequence[Project] = ()
    ) -> None:
        self.adapter: GitHubForge | None = None
        super().__init__(projects, is_app=True)
        self.adapter = app_forge(github, folder)
        # People do the same at both.
        self.forge = cast("FakeForge", github)
        for each in self.projects.values():
            github.add_repository(each.repository)
        self.clock.wrong_by = datetime.now(UTC) - BEGIN
        self.start()

    def world(self, store: Store) -> World:
        world = super().world(store)
        return replace(world, forge=self.adapter) if self.adapter else world


def measure_forge_requests(
    part: Part, say: Callable[[str], None], _samples: int, *, repositories: int = REPOSITORIES
) -> None:
    """All of it."""
    for name, counts in count_one_life().items():
        part.set(f"github_{name}_requests_count", counts.total())
        for kind, count in sorted(counts.items()):
            say(f"{name}: {count} x {kind}")
    counts, not_modified, writes = count_quiet_resync(repositories)
    for kind, count in sorted(counts.items()):
        say(f"quiet resync of {repositories} repositories: {count} x {kind}")
    part.set(f"github_resync_{repositories}_requests_count", counts.total())
    part.set(f"github_resync_{repositories}_not_modified_count", not_modified)
    part.set(f"github_resync_{repositories}_writes_count", writes)


def count_one_life() -> dict[str, Counter[str]]:
    """Requests by kind: for the first head_sha of a pull request, for a second one, and for its end.

    What was asked once for the repository, such as its token, was asked before.
    """
    with StandInGitHub() as github, tempfile.TemporaryDirectory() as folder:
        town = GitHubTown(github, Path(folder))
        town.settle(SETTLE_SECONDS)
        found: dict[str, Counter[str]] = {}
        before = github.counts()
        number = town.open()
        town.settle(SETTLE_SECONDS)
        _expect(town, number, Phase.LIVE)
        found["first_head"] = github.counts() - before
        before = github.counts()
        town.forge.push(town.projects["shop"].repository, number)
        town.push_image(number)
        town.deliver(number)
        town.settle(SETTLE_SECONDS)
        _expect(town, number, Phase.LIVE)
        found["next_head"] = github.counts() - before

        other = town.open()
        town.settle(SETTLE_SECONDS)
        before = github.counts()
        town.close(other)
        town.settle(SETTLE_SECONDS)
        _expect(town, other, Phase.REMOVED)
        found["close"] = github.counts() - before
        return found


def count_quiet_resync(
    repositories: int, open_in_each: int = OPEN_IN_EACH
) -> tuple[Counter[str], int, int]:
    """Requests by kind of a second look at everything, how many were answered 304, and what was written anywhere."""
    projects = [project(f"p{number}", f"acme/p{number}") for number in range(repositories)]
    with StandInGitHub() as github, tempfile.TemporaryDirectory() as folder:
        town = GitHubTown(github, Path(folder), projects)
        assert town.adapter is not None
        for each in projects:
            for _ in range(open_in_each):
                github.open_pull_request(each.repository)
            for known in town.adapter.list_open_pull_requests(each.repository):
                key = PreviewKey(each.name, known.number)
                town.store.save(PreviewRecord(key=key, pull_request=known))
                assert known.updated_at is not None
                place = (known.repository, known.number)
                town.store.record_comments_read(*place, known.updated_at)
        # What each repository says itself in .previews.yaml is read now, and anew some minutes later.
        town.loop.resync.resync(everything=False)
        before, free, writes = github.counts(), github.counts(304), town.store.writes
        town.loop.resync.resync(everything=False)
        counts = github.counts() - before
        not_modified = (github.counts(304) - free).total()
        return counts, not_modified, town.store.writes - writes + town.gitops.pushes


def _expect(town: Town, number: int, phase: Phase) -> None:
    record = town.record(number)
    if record.phase is not phase:
        raise AssertionError(f"{number} is {record.phase}: {record.reason} {record.message}")
