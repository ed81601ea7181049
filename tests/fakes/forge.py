"""A forge in memory, for tests of what is built on one. Passes the contract suite that the real adapters pass."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from previews.domain.conversation import Permission, PostedComment, Reaction
from previews.domain.forge_ports import FILE_BYTES_MAX, ChangedPaths
from previews.domain.preview import CIRun, HeadSha, PullRequest
from previews.domain.record import STATUS_PREFIX, CommitStatus
from previews.errors import StalledError, TransientError
from tests.fakes.forge_parts import (
    Calls,
    FakeChecks,
    FakeDeployments,
    FakeRedeliveries,
    asking,
    writing,
)
from tests.fakes.forge_repositories import utc_now
from tests.fakes.forge_things import APP_LOGIN, OWN_LOGIN, RefusedError
from tests.fakes.forge_world import ForgeWorld

UNREACHABLE = TransientError("ForgeUnreachable", "the forge does not answer")
RATE_LIMITED = TransientError(
    "ForgeRateLimited", "the forge asks for patience", retry_after_seconds=30.0
)
FORBIDDEN = TransientError("ForgeForbidden", "the token may not do that")
REFUSED = StalledError("ForgeRefused", "the forge refuses")


@dataclass(slots=True)
class _Fault:
    error: Exception
    on: str
    times: int | None


class FakeForge(ForgeWorld):
    """Drive it with the methods of ForgeWorld; `calls` and `writes` say what was asked of it."""

    def __init__(self, *, is_app: bool = False, now: Callable[[], datetime] = utc_now) -> None:
        """Under a GitHub App it has all the parts, and otherwise none of them. `now` is the forge's clock."""
        super().__init__(now)
        self.own_login = APP_LOGIN if is_app else OWN_LOGIN
        calls = Calls(self._called, self._wrote)
        self.checks = FakeChecks(self, calls) if is_app else None
        self.deployments = FakeDeployments(self, calls) if is_app else None
        self.redeliveries = FakeRedeliveries(calls, now) if is_app else None
        self.calls: list[str] = []
        """Every call of the port, such as `fetch_pull_request acme/shop#1`."""
        self.writes: list[str] = []
        """Those that changed something."""
        self._faults: list[_Fault] = []
        self._lists: dict[str, Sequence[PullRequest]] = {}
        self._guard = threading.Lock()

    # Faults.

    def fail(self, error: Exception, *, on: str = "", times: int | None = None) -> None:
        """Raise `error` from now on, `times` times, for calls that have `on` in them."""
        with self._guard:
            self._faults.append(_Fault(error, on, times))

    def list_instead(self, repository: str, listed: Sequence[PullRequest]) -> None:
        """Answer listings of a repository with this from now on: an old list, or an empty one."""
        with self._guard:
            self._lists[repository.casefold()] = listed

    def heal(self) -> None:
        """Behave again."""
        with self._guard:
            self._faults.clear()
            self._lists.clear()

    # The port.

    def fetch_pull_request(self, repository: str, number: int) -> PullRequest | None:
        self._called(f"fetch_pull_request {repository}#{number}")
        asking(lambda: self.visible_repository(repository))
        try:
            return self.pull_request(repository, number).seen()
        except RefusedError:
            return None

    def list_open_pull_requests(self, repository: str) -> list[PullRequest]:
        self._called(f"list_open_pull_requests {repository}")
        if repository.casefold() in self._lists:
            return list(self._lists[repository.casefold()])
        return [each.seen() for each in asking(lambda: self.open_pull_requests(repository))]

    def set_commit_status(self, repository: str, head_sha: HeadSha, status: CommitStatus) -> None:
        call = f"set_commit_status {repository} {head_sha} {status.context} {status.state}"
        self._called(call)
        writing(lambda: self.add_status(repository, head_sha, status))
        self._wrote(call)

    def list_changed_paths(self, repository: str, number: int) -> ChangedPaths:
        self._called(f"list_changed_paths {repository}#{number}")
        return asking(lambda: self.changed_paths(repository, number))

    def read_file(self, repository: str, branch: str, path: str) -> str | None:
        self._called(f"read_file {repository} {branch} {path}")
        try:
            content = asking(lambda: self.file_on(repository, branch, path))
        except IsADirectoryError as error:
            raise StalledError("RepositoryFileUnreadable", f"{path} is no file") from error
        if content is None:
            return None
        if len(content) > FILE_BYTES_MAX:
            raise StalledError("RepositoryFileUnreadable", f"{path} is too large")
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise StalledError("RepositoryFileUnreadable", f"{path} is no text") from error

    def list_comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[PostedComment]:
        self._called(f"list_comments {repository}#{number}")
        asking(lambda: self.visible_repository(repository))
        asking(lambda: self.pull_request(repository, number))
        return [
            each.seen(self.own_login)
            for each in self.comments_of(repository, number)
            if since is None or each.updated_at >= since
        ]

    def permission_of(self, repository: str, login: str) -> Permission:
        self._called(f"permission_of {repository} {login}")
        return asking(lambda: self.permission(repository, login)) or Permission.NONE

    def react(self, repository: str, number: int, comment_id: int, reaction: Reaction) -> None:
        call = f"react {repository}#{number} {comment_id} {reaction}"
        self._called(call)
        writing(lambda: self.visible_repository(repository))
        try:
            is_new = self.add_reaction(comment_id, self.own_login, reaction)
        except RefusedError:
            return
        if is_new:
            self._wrote(call)

    def ensure_comment(
        self, repository: str, number: int, *, marker: str, body: str, known_id: int | None = None
    ) -> int:
        call = f"ensure_comment {repository}#{number}"
        self._called(call)
        writing(lambda: self.visible_repository(repository))
        ours = [
            each
            for each in self.comments(repository, number)
            if each.author == self.own_login
            and (each.id == known_id or each.body.startswith(marker))
        ]
        ours.sort(key=lambda each: each.id != known_id)
        if ours and ours[0].body == body:
            return ours[0].id
        if ours:
            said = writing(lambda: self.edit_comment(ours[0].id, body)).id
        else:
            said = writing(lambda: self.comment(repository, number, body, author=self.own_login))
        self._wrote(call)
        return said

    def list_files(self, repository: str, head_sha: HeadSha, folder: str) -> Mapping[str, str]:
        self._called(f"list_files {repository} {head_sha} {folder}")
        files = asking(lambda: self.files(repository, head_sha))
        below = [part for part in folder.split("/") if part not in {"", "."}]
        return {
            path: blob
            for path, blob in files.items()
            if path.split("/")[:-1][: len(below)] == below
        }

    def find_run(self, repository: str, head_sha: HeadSha) -> CIRun | None:
        self._called(f"find_run {repository} {head_sha}")
        found = asking(lambda: self.runs(repository, head_sha))
        runs = [each for each in found if not each.name.startswith(STATUS_PREFIX)]
        for states in ({"failed"}, {"queued", "running"}):
            for run in runs:
                if run.state in states:
                    return run
        return runs[0] if runs else None

    def check(self) -> None:
        self._called("check")

    def _called(self, call: str) -> None:
        with self._guard:
            self.calls.append(call)
            for fault in self._faults:
                if fault.times != 0 and fault.on in call:
                    if fault.times:
                        fault.times -= 1
                    raise fault.error.with_traceback(None)

    def _wrote(self, call: str) -> None:
        with self._guard:
            self.writes.append(call)
