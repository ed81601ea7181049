"""The repositories of a forge in memory, and their files. ForgeWorld is built on it."""

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from previews.domain.forge_ports import ChangedPaths
from previews.domain.preview import HeadSha, parse_head_sha
from tests.fakes.forge_things import (
    OWN_LOGIN,
    RefusedError,
    Repository,
    WorldPullRequest,
    blob_id,
)


def utc_now() -> datetime:
    return datetime.now(UTC)


class ForgeRepositories:
    """Safe from any thread. A repository exists from the first pull request on, or from `add_repository`."""

    own_login = OWN_LOGIN
    """Who does what the manager does."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self._lock = threading.RLock()
        self._now = now
        self._repositories: list[Repository] = []
        self._names: dict[str, Repository] = {}
        self._ids = iter(range(1001, 10**9))

    def add_repository(self, name: str) -> None:
        with self._lock:
            self._repository(name)

    def take_name(self, name: str) -> None:
        """Somebody makes another repository of a name that was given up: it leads to the old one no more."""
        with self._lock:
            self._names.pop(name.casefold())
            self._repository(name)

    def write_file(
        self, repository: str, path: str, content: str | bytes | None, *, branch: str = "main"
    ) -> None:
        """Somebody commits to a branch that is no pull request's. None removes the file."""
        with self._lock:
            held = self._repository(repository)
            files = held.branches.get(branch, {})
            held.branches[branch] = self._changed(held, files, {path: content})
        self.branch_happened(held, branch)

    def branch_happened(self, repository: Repository, branch: str) -> None:
        """Called after each commit to a branch, outside the lock: for those who build on it."""

    def hide(self, repository: str) -> None:
        """Take the repository out of what the manager's token may see."""
        with self._lock:
            self._repository(repository).visible = False

    def show(self, repository: str) -> None:
        """Let the manager's token see it again."""
        with self._lock:
            self._repository(repository).visible = True

    def repository_of(self, repository_id: int) -> Repository:
        with self._lock:
            return self._repositories[repository_id - 1]

    def find_repository(self, name: str) -> Repository | None:
        """By its name of today or an older one."""
        with self._lock:
            return self._names.get(name.casefold())

    def visible_repository(self, name: str) -> Repository:
        with self._lock:
            held = self.find_repository(name)
            if held is None or not held.visible:
                raise RefusedError(404, "Not Found")
            return held

    def pull_request(self, repository: str, number: int) -> WorldPullRequest:
        with self._lock:
            found = self._repository(repository).pull_requests.get(number)
            if found is None:
                raise RefusedError(404, "Not Found")
            return found

    def files(self, repository: str, head_sha: str) -> Mapping[str, str]:
        """Git's blob id of every file of a commit, by path."""
        with self._lock:
            held = self.visible_repository(repository)
            if head_sha not in held.commits:
                raise RefusedError(404, "Not Found")
            return held.commits[head_sha]

    def file_on(self, repository: str, branch: str, path: str) -> bytes | None:
        """What is in a file at the tip of a branch. Raises IsADirectoryError for a folder."""
        with self._lock:
            held = self.visible_repository(repository)
            if branch not in held.branches:
                raise RefusedError(404, "Not Found")
            files = held.branches[branch]
            if any(each.startswith(f"{path}/") for each in files):
                raise IsADirectoryError(path)
            blob = files.get(path)
            return None if blob is None else held.blobs[blob]

    def changed_paths(self, repository: str, number: int) -> ChangedPaths:
        """The paths whose files differ between where a pull request branched off and its head."""
        with self._lock:
            held = self.visible_repository(repository)
            found = self.pull_request(repository, number)
            before, after = found.base_files, held.commits[found.head_sha]
            differ = {path for path in {*before, *after} if before.get(path) != after.get(path)}
            return ChangedPaths(frozenset(differ), is_whole=True)

    def _moment(self) -> datetime:
        """Forges count in whole seconds."""
        return self._now().replace(microsecond=0)

    def _repository(self, name: str) -> Repository:
        held = self._names.get(name.casefold())
        if held is None:
            held = Repository(id=len(self._repositories) + 1, name=name)
            self._repositories.append(held)
            self._names[name.casefold()] = held
        return held

    def _put(self, changed: WorldPullRequest) -> WorldPullRequest:
        after = replace(changed, updated_at=self._moment())
        self._repository(after.repository).pull_requests[after.number] = after
        return after

    def _commit(
        self, repository: Repository, head_sha: str | None, files: Mapping[str, str]
    ) -> HeadSha:
        made_up = hashlib.sha1(f"{repository.name}@{len(repository.commits)}".encode()).hexdigest()
        sha = parse_head_sha(head_sha or made_up)
        repository.commits.setdefault(sha, files)
        return sha

    @staticmethod
    def _changed(
        repository: Repository,
        files: Mapping[str, str],
        changes: Mapping[str, str | bytes | None],
    ) -> dict[str, str]:
        """The files with some of them written anew, or gone."""
        blobs = dict(files)
        for path, content in changes.items():
            blobs.pop(path, None)
            if content is not None:
                held = content.encode() if isinstance(content, str) else content
                blobs[path] = blob_id(held)
                repository.blobs[blobs[path]] = held
        return blobs
