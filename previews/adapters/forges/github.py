"""GitHub through PyGithub: its authentication, connections and objects, without its sleeps and retries.

PyGithub takes any answer below 400 for a good one and an empty one for an empty list, so every answer passes through
`_Connection.ask`, which proves it first.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from github.Auth import Auth
from github.Commit import Commit
from github.Issue import Issue
from github.IssueComment import IssueComment
from github.Requester import Requester

from previews.adapters.forges.answers import (
    AbsentError,
    Headers,
    Json,
    Request,
    find_own_comment,
    malformed,
    read_json,
    read_own_id,
    read_pull_request,
    read_token,
    reads_the_same,
    repository_path,
    unreachable,
)
from previews.adapters.forges.runs import RUNS_READ, choose_run, read_runs
from previews.adapters.forges.trees import Entry, is_cut_short, list_files, read_entries
from previews.domain.preview import CIRun, HeadSha, PullRequest
from previews.domain.record import CommitStatus

API_VERSION = "2022-11-28"
PER_PAGE = 100
PAGES_MAX = 200
"""No list is longer; one that seems to be goes in circles."""
TIMEOUT_SECONDS = 10

_NEXT = re.compile(r'<([^<>]+)>[^,<]*;\s*rel="next"')


class GitHubForge:
    """Implements ports.Forge for a token's user. Safe from any thread."""

    def __init__(
        self, *, api_url: str, token_file: Path, timeout_seconds: int = TIMEOUT_SECONDS
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._token = _TokenFile(token_file)
        self._timeout_seconds = timeout_seconds
        self._own_id: int | None = None
        self._of_thread = threading.local()

    def fetch_pull_request(self, repository: str, number: int) -> PullRequest | None:
        path = repository_path(repository, "pulls", number)
        try:
            _, document = self._connection.ask("GET", path, wants=dict)
        except AbsentError:
            # GitHub says the same of what the token may not see, so the repository itself must be in sight.
            self._connection.ask("GET", repository_path(repository), wants=dict)
            return None
        return read_pull_request(Request("GET", path), document)

    def list_open_pull_requests(self, repository: str) -> list[PullRequest]:
        path = repository_path(repository, "pulls")
        listed = (
            read_pull_request(Request("GET", path), each) for each in self._list(path, state="open")
        )
        # One that is opened meanwhile pushes another to the next page, where it comes again.
        by_number = {each.number: each for each in listed if each.is_open}
        return list(by_number.values())

    def set_commit_status(self, repository: str, head_sha: HeadSha, status: CommitStatus) -> None:
        url = repository_path(repository, "commits", head_sha)
        commit = Commit(self._connection, url=url)
        target = {"target_url": status.target_url} if status.target_url else {}
        commit.create_status(
            status.state, description=status.description, context=status.context, **target
        )

    def ensure_comment(self, repository: str, number: int, *, marker: str, body: str) -> None:
        issue = repository_path(repository, "issues", number)
        ours = find_own_comment(
            Request("GET", f"{issue}/comments"),
            self._list(f"{issue}/comments"),
            own_id=self._own_id or self._fetch_own_id(),
            marker=marker,
        )
        if ours is None:
            Issue(self._connection, url=issue).create_comment(body)
        elif not reads_the_same(ours.body, body):
            url = repository_path(repository, "issues", "comments", ours.id)
            IssueComment(self._connection, url=url).edit(body)

    def list_files(self, repository: str, head_sha: HeadSha, folder: str) -> Mapping[str, str]:
        def read(tree: str, *, recursive: bool) -> list[Entry]:
            path = repository_path(repository, "git", "trees", tree)
            # GitHub takes any value for yes.
            parameters = {"recursive": "1"} if recursive else None
            _, document = self._connection.ask("GET", path, wants=dict, parameters=parameters)
            asked = Request("GET", path)
            if is_cut_short(asked, document):
                raise malformed(asked, "a part of a tree that has too many files")
            return read_entries(asked, document)

        return list_files(read, head_sha, folder)

    def find_run(self, repository: str, head_sha: HeadSha) -> CIRun | None:
        # Whatever runs elsewhere than in GitHub Actions reports as a check.
        for path, list_name in (
            (repository_path(repository, "actions", "runs"), "workflow_runs"),
            (repository_path(repository, "commits", head_sha, "check-runs"), "check_runs"),
        ):
            query: dict[str, Any] = {"per_page": RUNS_READ}
            if list_name == "workflow_runs":
                query["head_sha"] = head_sha
            _, document = self._connection.ask("GET", path, wants=dict, parameters=query)
            if runs := read_runs(Request("GET", path), document, list_name):
                return choose_run(runs)
        return None

    def check(self) -> None:
        self._fetch_own_id()

    def _fetch_own_id(self) -> int:
        _, user = self._connection.ask("GET", "/user", wants=dict)
        self._own_id = read_own_id(Request("GET", "/user"), user)
        return self._own_id

    def _list(self, path: str, **parameters: str) -> Iterator[Json]:
        """All items of all pages; what was yielded counts only if the end is reached."""
        asked = Request("GET", path)
        url, query = path, {"per_page": PER_PAGE, **parameters}
        for _ in range(PAGES_MAX):
            headers, page = self._connection.ask("GET", url, wants=list, parameters=query)
            if not page and url != path:
                raise malformed(asked, "an empty page after one that promised more")
            yield from page
            link = headers.get("link", "")
            following = _NEXT.search(link)
            if following is None:
                if "next" in link:
                    raise malformed(asked, f"the links {link}")
                return
            url, query = following.group(1), {}
        raise malformed(asked, f"more than {PAGES_MAX} pages")

    @property
    def _connection(self) -> "_Connection":
        """This thread's own: PyGithub keeps the request under way in its connection."""
        found: _Connection | None = getattr(self._of_thread, "connection", None)
        if found is None:
            found = _Connection(
                auth=self._token,
                base_url=self._api_url,
                timeout=self._timeout_seconds,
                user_agent="previews",
                per_page=PER_PAGE,
                verify=True,
                retry=None,
                pool_size=None,
                seconds_between_requests=None,
                seconds_between_writes=None,
                lazy=True,
                api_version=API_VERSION,
            )
            self._of_thread.connection = found
        return found


class _TokenFile(Auth):
    """A token that may be rotated at any time."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def token_type(self) -> str:
        return "token"

    @property
    def token(self) -> str:
        return read_token(self._file)


class _Connection(Requester):
    """PyGithub's way to GitHub, with every answer proven."""

    def ask(
        self,
        verb: str,
        url: str,
        *,
        wants: type,
        parameters: dict[str, Any] | None = None,
        body: Json = None,
    ) -> tuple[Headers, Json]:
        """One request, to the configured host only. `wants` is the kind of document that counts as an answer."""
        asked = Request(verb, urlsplit(url).path)
        try:
            self._check_host(asked, url)
            status, headers, text = self.requestJson(verb, url, parameters, input=body)
            if status in {307, 308} and "location" in headers:
                # What GitHub answers a write to a renamed repository; PyGithub would take it for done.
                self._check_host(asked, headers["location"])
                status, headers, text = self.requestJson(verb, headers["location"], input=body)
        except OSError as error:
            raise unreachable(asked, error) from error
        except (RuntimeError, ValueError) as error:
            # How PyGithub refuses redirects to elsewhere or in a circle, and headers that are no numbers.
            raise malformed(asked, str(error)) from error
        return headers, read_json(asked, status, headers, text, wants=wants)

    def _check_host(self, asked: Request, url: str) -> None:
        """An address that an answer gave: PyGithub would ask the configured host for another host's path."""
        if not url.startswith(("/", f"{self.base_url}/")):
            raise malformed(asked, f"the address {url}, which is not below {self.base_url}")

    def requestJsonAndCheck(  # noqa: N802, PLR0917 - PyGithub's own: all its objects send their requests here
        self,
        verb: str,
        url: str,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,  # noqa: ARG002 - never given for what is used here
        input: Any | None = None,  # noqa: A002, ANN401 - PyGithub's signature
        follow_302_redirect: bool = False,  # noqa: ARG002, FBT001, FBT002 - PyGithub's signature
    ) -> tuple[dict[str, Any], Any]:
        answered, document = self.ask(verb, url, wants=dict, parameters=parameters, body=input)
        return dict(answered), document
