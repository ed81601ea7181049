"""A forge in memory, for tests of what is built on one. Passes the contract suite that the real adapters pass."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from previews.domain.preview import CIRun, HeadSha, PullRequest
from previews.domain.record import CommitStatus
from previews.errors import StalledError, TransientError
from tests.fakes.forge_world import OWN_LOGIN, ForgeWorld, RefusedError

Result = TypeVar("Result")

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

    def __init__(self) -> None:
        super().__init__()
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
        _asking(lambda: self.visible_repository(repository))
        try:
            return self.pull_request(repository, number).seen()
        except RefusedError:
            return None

    def list_open_pull_requests(self, repository: str) -> list[PullRequest]:
        self._called(f"list_open_pull_requests {repository}")
        if repository.casefold() in self._lists:
            return list(self._lists[repository.casefold()])
        return [each.seen() for each in _asking(lambda: self.open_pull_requests(repository))]

    def set_commit_status(self, repository: str, head_sha: HeadSha, status: CommitStatus) -> None:
        call = f"set_commit_status {repository} {head_sha} {status.context} {status.state}"
        self._called(call)
        _writing(lambda: self.add_status(repository, head_sha, status))
        self.writes.append(call)

    def ensure_comment(self, repository: str, number: int, *, marker: str, body: str) -> None:
        call = f"ensure_comment {repository}#{number}"
        self._called(call)
        _writing(lambda: self.visible_repository(repository))
        ours = [
            each
            for each in self.comments(repository, number)
            if each.author == OWN_LOGIN and each.body.startswith(marker)
        ]
        if ours and ours[0].body == body:
            return
        if ours:
            _writing(lambda: self.edit_comment(ours[0].id, body))
        else:
            _writing(lambda: self.comment(repository, number, body, author=OWN_LOGIN))
        self.writes.append(call)

    def list_files(self, repository: str, head_sha: HeadSha, folder: str) -> Mapping[str, str]:
        self._called(f"list_files {repository} {head_sha} {folder}")
        files = _asking(lambda: self.files(repository, head_sha))
        below = [part for part in folder.split("/") if part not in {"", "."}]
        return {
            path: blob
            for path, blob in files.items()
            if path.split("/")[:-1][: len(below)] == below
        }

    def find_run(self, repository: str, head_sha: HeadSha) -> CIRun | None:
        self._called(f"find_run {repository} {head_sha}")
        runs = _asking(lambda: self.runs(repository, head_sha))
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


def _asking(ask: Callable[[], Result]) -> Result:
    try:
        return ask()
    except RefusedError as refused:
        raise TransientError("ForgeForbidden", refused.words) from refused


def _writing(write: Callable[[], Result]) -> Result:
    try:
        return write()
    except RefusedError as refused:
        raise StalledError("ForgeRefused", refused.words) from refused
