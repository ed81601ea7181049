"""The world around a forge, in memory: repositories, and people who open, push, close and comment.

FakeForge answers the port from it, StandInGitHub answers HTTP from it; both are driven by the methods here.
"""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from previews.domain.preview import CIRun, HeadSha, PullRequest, parse_head_sha
from previews.domain.record import CommitStatus

DESCRIPTION_LENGTH_MAX = 140
COMMENT_LENGTH_MAX = 65_536
OWN_LOGIN = "previews-bot"
"""The user that the manager's token belongs to."""


class RefusedError(Exception):
    """The forge does not do what was asked, with the HTTP status that it would say."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldPullRequest:
    id: int
    repository: str
    number: int
    branch: str
    title: str
    author: str
    head_sha: HeadSha
    head_repository: str | None
    """None when it is gone."""
    created_at: datetime
    updated_at: datetime
    is_open: bool = True
    labels: tuple[str, ...] = ()
    """As people see them: in the order in which they were set."""

    def seen(self) -> PullRequest:
        """As an adapter gives it."""
        head = (self.head_repository or "").casefold()
        return PullRequest(
            repository=self.repository,
            number=self.number,
            is_open=self.is_open,
            head_sha=self.head_sha,
            head_branch=self.branch,
            base_branch="main",
            title=self.title,
            author=self.author,
            url=f"https://github.com/{self.repository}/pull/{self.number}",
            from_fork=head != self.repository.casefold(),
            labels=tuple(sorted(self.labels)),
        )


@dataclass(frozen=True, slots=True)
class Said:
    """A comment as everybody sees it."""

    id: int
    author: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    id: int
    repository_id: int
    number: int
    author: str
    body: str
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class Repository:
    id: int
    name: str
    visible: bool = True
    """Whether the manager's token may see it."""
    pull_requests: dict[int, WorldPullRequest] = field(default_factory=dict)
    commits: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """The files of each: Git's blob id by path."""
    statuses: list[tuple[str, CommitStatus]] = field(default_factory=list)
    runs: list[tuple[str, CIRun]] = field(default_factory=list)
    """What CI does for commits, the oldest first."""


class ForgeWorld:
    """Safe from any thread. A repository exists from the first pull request on, or from `add_repository`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._repositories: list[Repository] = []
        self._names: dict[str, Repository] = {}
        self._comments: dict[int, Comment] = {}
        self._ids = iter(range(1001, 10**9))

    # What people do.

    def add_repository(self, name: str) -> None:
        with self._lock:
            self._repository(name)

    def open_pull_request(
        self,
        repository: str,
        branch: str = "feature",
        title: str = "A change",
        author: str = "octo-dev",
        head_sha: str | None = None,
        *,
        from_fork: bool = False,
    ) -> int:
        """Returns its number. A head_sha is made up unless one is given."""
        with self._lock:
            held = self._repository(repository)
            number = len(held.pull_requests) + 1
            now = datetime.now(UTC)
            fork = f"{author}/{held.name.partition('/')[2]}"
            opened = WorldPullRequest(
                id=next(self._ids),
                repository=held.name,
                number=number,
                branch=branch,
                title=title,
                author=author,
                head_sha=self._commit(held, head_sha),
                head_repository=fork if from_fork else held.name,
                created_at=now,
                updated_at=now,
            )
            held.pull_requests[number] = opened
        self.happened("opened", opened)
        return number

    def push(
        self,
        repository: str,
        number: int,
        head_sha: str | None = None,
        *,
        files: Mapping[str, str | None] | None = None,
    ) -> HeadSha:
        """A new commit on the pull request's branch, with these files changed (None removes one).

        Returns its head_sha.
        """
        with self._lock:
            before = self.pull_request(repository, number)
            held = self._repository(repository)
            after = self._commit(held, head_sha)
            blobs = dict(held.commits[before.head_sha])
            for path, text in (files or {}).items():
                blobs.pop(path, None)
                blobs |= {} if text is None else {path: blob_id(text)}
            held.commits[after] = blobs
            pushed = self._put(replace(before, head_sha=after))
        self.happened("synchronize", pushed, before=before.head_sha, after=after)
        return after

    def edit(self, repository: str, number: int, *, title: str) -> None:
        with self._lock:
            before = self.pull_request(repository, number)
            edited = self._put(replace(before, title=title))
        self.happened("edited", edited, changes={"title": {"from": before.title}})

    def set_labels(self, repository: str, number: int, *labels: str) -> None:
        """Have these labels and no others on it. Each change is an event of its own, as on a forge."""
        had = self.pull_request(repository, number).labels
        for action, changed in (
            ("unlabeled", [each for each in had if each not in labels]),
            ("labeled", [each for each in labels if each not in had]),
        ):
            for label in changed:
                with self._lock:
                    before = self.pull_request(repository, number)
                    kept = tuple(each for each in before.labels if each != label)
                    now = (*kept, label) if action == "labeled" else kept
                    after = self._put(replace(before, labels=now))
                self.happened(action, after, label=label)

    def close(self, repository: str, number: int) -> None:
        with self._lock:
            closed = self._put(replace(self.pull_request(repository, number), is_open=False))
        self.happened("closed", closed)

    def reopen(self, repository: str, number: int) -> None:
        with self._lock:
            reopened = self._put(replace(self.pull_request(repository, number), is_open=True))
        self.happened("reopened", reopened)

    def delete_fork(self, repository: str, number: int) -> None:
        """The repository that the head lies in goes away; the pull request stays."""
        with self._lock:
            self._put(replace(self.pull_request(repository, number), head_repository=None))

    def comment(self, repository: str, number: int, body: str, *, author: str = "octo-dev") -> int:
        """A comment by somebody. Returns its id."""
        with self._lock:
            if number not in self._repository(repository).pull_requests:
                raise RefusedError(404, "Not Found")
            if len(body) > COMMENT_LENGTH_MAX:
                raise RefusedError(422, "Body is too long (maximum is 65536 characters)")
            now = datetime.now(UTC)
            comment = Comment(
                id=next(self._ids),
                repository_id=self._repository(repository).id,
                number=number,
                author=author,
                body=body,
                created_at=now,
                updated_at=now,
            )
            self._comments[comment.id] = comment
            return comment.id

    def delete_comment(self, comment_id: int) -> None:
        with self._lock:
            del self._comments[comment_id]

    def rename(self, repository: str, name: str) -> None:
        """The old name keeps leading to it."""
        with self._lock:
            held = self._repository(repository)
            held.name = name
            self._names[name.casefold()] = held
            for number, each in held.pull_requests.items():
                is_fork = each.seen().from_fork
                held.pull_requests[number] = replace(
                    each,
                    repository=name,
                    head_repository=each.head_repository if is_fork else name,
                )

    def hide(self, repository: str) -> None:
        """Take the repository out of what the manager's token may see."""
        with self._lock:
            self._repository(repository).visible = False

    def run_ci(self, repository: str, head_sha: str, run: CIRun) -> None:
        """CI begins something for a commit, or says how it goes on."""
        with self._lock:
            self._repository(repository).runs.append((head_sha, run))

    # What there is.

    def runs(self, repository: str, head_sha: str) -> list[CIRun]:
        """How each run of a commit stands, the newest first."""
        with self._lock:
            held = self.visible_repository(repository)
            newest: dict[str, CIRun] = {}
            for sha, run in reversed(held.runs):
                if sha == head_sha:
                    newest.setdefault(run.name, run)
            return list(newest.values())

    def statuses(self, repository: str, head_sha: str) -> list[CommitStatus]:
        """All of a commit, the oldest first."""
        with self._lock:
            return [
                status for sha, status in self._repository(repository).statuses if sha == head_sha
            ]

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

    def pull_request(self, repository: str, number: int) -> WorldPullRequest:
        with self._lock:
            found = self._repository(repository).pull_requests.get(number)
            if found is None:
                raise RefusedError(404, "Not Found")
            return found

    def comment_of(self, comment_id: int) -> Comment:
        with self._lock:
            if comment_id not in self._comments:
                raise RefusedError(404, "Not Found")
            return self._comments[comment_id]

    # What the manager does, through its forge.

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

    def numbers(self, repository: str) -> list[int]:
        """Of every pull request, open or not."""
        return sorted(self.visible_repository(repository).pull_requests)

    def open_pull_requests(self, repository: str) -> list[WorldPullRequest]:
        """The newest first, as GitHub lists them."""
        with self._lock:
            found = self.visible_repository(repository).pull_requests.values()
            return [each for each in reversed(found) if each.is_open]

    def files(self, repository: str, head_sha: str) -> Mapping[str, str]:
        """Git's blob id of every file of a commit, by path."""
        with self._lock:
            held = self.visible_repository(repository)
            if head_sha not in held.commits:
                raise RefusedError(404, "Not Found")
            return held.commits[head_sha]

    def add_status(self, repository: str, head_sha: str, status: CommitStatus) -> None:
        with self._lock:
            held = self.visible_repository(repository)
            if head_sha not in held.commits:
                raise RefusedError(422, f"No commit found for SHA: {head_sha}")
            if len(status.description) > DESCRIPTION_LENGTH_MAX:
                raise RefusedError(422, "Description is too long (maximum is 140 characters)")
            held.statuses.append((head_sha, status))

    def edit_comment(self, comment_id: int, body: str) -> Comment:
        with self._lock:
            before = self.comment_of(comment_id)
            edited = replace(before, body=body, updated_at=datetime.now(UTC))
            self._comments[comment_id] = edited
            return edited

    # For those who build on it.

    def happened(self, action: str, pull_request: WorldPullRequest, **details: object) -> None:
        """Called after each change of a pull request, outside the lock, with what a webhook would say."""

    def _repository(self, name: str) -> Repository:
        held = self._names.get(name.casefold())
        if held is None:
            held = Repository(id=len(self._repositories) + 1, name=name)
            self._repositories.append(held)
            self._names[name.casefold()] = held
        return held

    def _put(self, changed: WorldPullRequest) -> WorldPullRequest:
        after = replace(changed, updated_at=datetime.now(UTC))
        self._repository(after.repository).pull_requests[after.number] = after
        return after

    def _commit(self, repository: Repository, head_sha: str | None) -> HeadSha:
        made_up = hashlib.sha1(f"{repository.name}@{len(repository.commits)}".encode()).hexdigest()
        sha = parse_head_sha(head_sha or made_up)
        repository.commits.setdefault(sha, {})
        return sha


def blob_id(text: str) -> str:
    """As Git gives it to a file."""
    content = text.encode()
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()
