"""The world around a forge, in memory: repositories, and people who open, push, close and comment.

FakeForge answers the port from it, StandInGitHub answers HTTP from it; both are driven by the methods here and in the
classes that it is built on.
"""

from collections.abc import Mapping
from dataclasses import replace

from previews.domain.preview import HeadSha
from tests.fakes.forge_feedback import ForgeFeedback
from tests.fakes.forge_talk import ForgeTalk
from tests.fakes.forge_things import DEVELOPER, WorldPullRequest


class ForgeWorld(ForgeTalk, ForgeFeedback):
    """Safe from any thread. A repository exists from the first pull request on, or from `add_repository`."""

    # What people do.

    def open_pull_request(
        self,
        repository: str,
        branch: str = "feature",
        title: str = "A change",
        author: str = DEVELOPER,
        head_sha: str | None = None,
        *,
        from_fork: bool = False,
        is_draft: bool = False,
        base_branch: str = "main",
        files: Mapping[str, str | None] | None = None,
    ) -> int:
        """Returns its number. A head_sha is made up unless one is given; `files` are what it changes, as in `push`.

        An author `name[bot]` is a bot, as at GitHub.
        """
        with self._lock:
            held = self._repository(repository)
            number = len(held.pull_requests) + len(held.deleted) + 1
            now = self._moment()
            base_files = held.branches.setdefault(base_branch, {})
            changed = self._changed(held, base_files, files or {})
            fork = f"{author}/{held.name.partition('/')[2]}"
            opened = WorldPullRequest(
                id=next(self._ids),
                repository=held.name,
                repository_id=held.id,
                number=number,
                branch=branch,
                title=title,
                author=author,
                head_sha=self._commit(held, head_sha, changed),
                head_repository=fork if from_fork else held.name,
                created_at=now,
                updated_at=now,
                is_draft=is_draft,
                base_branch=base_branch,
                base_files=base_files,
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
            changed = self._changed(held, held.commits[before.head_sha], files or {})
            after = self._commit(held, head_sha, changed)
            held.commits[after] = changed
            pushed = self._put(replace(before, head_sha=after))
        self.happened("synchronize", pushed, before=before.head_sha, after=after)
        return after

    def edit(self, repository: str, number: int, *, title: str) -> None:
        with self._lock:
            before = self.pull_request(repository, number)
            edited = self._put(replace(before, title=title))
        self.happened("edited", edited, changes={"title": {"from": before.title}})

    def retarget(self, repository: str, number: int, base_branch: str) -> None:
        """Have it go into another branch."""
        with self._lock:
            before = self.pull_request(repository, number)
            files = self._repository(repository).branches.setdefault(base_branch, {})
            edited = self._put(replace(before, base_branch=base_branch, base_files=files))
        changes = {"base": {"ref": {"from": before.base_branch}, "sha": {"from": "0" * 40}}}
        self.happened("edited", edited, changes=changes)

    def delete_pull_request(self, repository: str, number: int) -> None:
        """As some forges allow it: from now on they answer 404. No webhook tells of it."""
        with self._lock:
            held = self._repository(repository)
            held.deleted[number] = held.pull_requests.pop(number)

    def restore_pull_request(self, repository: str, number: int) -> None:
        with self._lock:
            held = self._repository(repository)
            held.pull_requests[number] = held.deleted.pop(number)

    def set_draft(self, repository: str, number: int, *, is_draft: bool) -> None:
        with self._lock:
            after = self._put(replace(self.pull_request(repository, number), is_draft=is_draft))
        self.happened("converted_to_draft" if is_draft else "ready_for_review", after)

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

    # What there is.

    def numbers(self, repository: str) -> list[int]:
        """Of every pull request, open or not."""
        return sorted(self.visible_repository(repository).pull_requests)

    def open_pull_requests(self, repository: str) -> list[WorldPullRequest]:
        """The newest first, as GitHub lists them."""
        with self._lock:
            found = self.visible_repository(repository).pull_requests.values()
            return [each for each in reversed(found) if each.is_open]

    # For those who build on it.

    def happened(self, action: str, pull_request: WorldPullRequest, **details: object) -> None:
        """Called after each change of a pull request, outside the lock, with what a webhook would say."""
