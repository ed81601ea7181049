"""Gitea (and Forgejo) by its API v1, with httpx2. docs/forges.md says where it differs from GitHub."""

from collections.abc import Mapping
from pathlib import Path

import httpx2

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
from previews.adapters.forges.runs import choose_run, read_statuses
from previews.adapters.forges.trees import Entry, is_cut_short, list_files, read_entries
from previews.domain.preview import CIRun, HeadSha, PullRequest
from previews.domain.record import STATUS_PREFIX, CommitStatus

API_PATH = "/api/v1"
PER_PAGE = 50
"""Gitea's own limit unless its administrator sets another."""
PAGES_MAX = 400
TREE_PER_PAGE = 1000
"""Gitea's own limit for trees, which have their own."""
TIMEOUT_SECONDS = 10.0
CONNECTIONS_MAX = 16
BODY_BYTES_MAX = 32 * 1024 * 1024
"""Far more than a page of long descriptions; a body without an end stops here."""
REDIRECTS_MAX = 3


class GiteaForge:
    """Implements ports.Forge for a token's user. Safe from any thread."""

    def __init__(
        self, *, api_url: str, token_file: Path, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        """`api_url` is the server's address: its API is below it."""
        self._server_url = api_url.rstrip("/")
        self._api_url = f"{api_url.rstrip('/')}{API_PATH}"
        self._token_file = token_file
        self._own_id: int | None = None
        self._client = httpx2.Client(
            timeout=timeout_seconds,
            limits=httpx2.Limits(max_connections=CONNECTIONS_MAX),
            headers={"Accept": "application/json", "User-Agent": "previews"},
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def fetch_pull_request(self, repository: str, number: int) -> PullRequest | None:
        path = repository_path(repository, "pulls", number)
        try:
            _, document = self._ask("GET", path, wants=dict)
        except AbsentError:
            # Gitea says the same of what the token may not see, so the repository itself must be in sight.
            self._ask("GET", repository_path(repository), wants=dict)
            return None
        return read_pull_request(Request("GET", path), document)

    def list_open_pull_requests(self, repository: str) -> list[PullRequest]:
        path = repository_path(repository, "pulls")
        asked = Request("GET", path)
        listed = [read_pull_request(asked, each) for each in self._list(path, state="open")]
        by_number = {each.number: each for each in listed}
        if len(by_number) != len(listed):
            raise malformed(asked, "a list that changed while it was read")
        return [each for each in listed if each.is_open]

    def set_commit_status(self, repository: str, head_sha: HeadSha, status: CommitStatus) -> None:
        said = {
            "state": status.state.value,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
        }
        self._ask("POST", repository_path(repository, "statuses", head_sha), wants=dict, body=said)

    def ensure_comment(self, repository: str, number: int, *, marker: str, body: str) -> None:
        path = repository_path(repository, "issues", number, "comments")
        ours = find_own_comment(
            Request("GET", path),
            self._list(path),
            own_id=self._own_id or self._fetch_own_id(),
            marker=marker,
        )
        said = {"body": body}
        if ours is None:
            self._ask("POST", path, wants=dict, body=said)
        elif not reads_the_same(ours.body, body):
            url = repository_path(repository, "issues", "comments", ours.id)
            self._ask("PATCH", url, wants=dict, body=said)

    def list_files(self, repository: str, head_sha: HeadSha, folder: str) -> Mapping[str, str]:
        def read(tree: str, *, recursive: bool) -> list[Entry]:
            return self._tree(
                repository_path(repository, "git", "trees", tree), recursive=recursive
            )

        return list_files(read, head_sha, folder)

    def find_run(self, repository: str, head_sha: HeadSha) -> CIRun | None:
        # Gitea's own actions report each job as a status, as every CI beside it does.
        path = repository_path(repository, "commits", head_sha, "status")
        query = {"limit": str(PER_PAGE)}
        _, document = self._ask("GET", path, wants=dict, parameters=query)
        runs = read_statuses(
            Request("GET", path), document, server_url=self._server_url, not_of=STATUS_PREFIX
        )
        return choose_run(runs)

    def check(self) -> None:
        self._fetch_own_id()

    def _fetch_own_id(self) -> int:
        _, user = self._ask("GET", "/user", wants=dict)
        self._own_id = read_own_id(Request("GET", "/user"), user)
        return self._own_id

    def _tree(self, path: str, *, recursive: bool) -> list[Entry]:
        """All entries of all pages, as many as Gitea says there are."""
        asked = Request("GET", path)
        found: list[Entry] = []
        for page in range(1, PAGES_MAX + 1):
            query = {"per_page": str(TREE_PER_PAGE), "page": str(page)}
            query |= {"recursive": "true"} if recursive else {}
            _, document = self._ask("GET", path, wants=dict, parameters=query)
            entries = read_entries(asked, document)
            found += entries
            total, is_partial = document.get("total_count"), is_cut_short(asked, document)
            if not is_partial and total == len(found):
                return found
            if not is_partial or not entries or total == len(found):
                raise malformed(asked, f"{len(found)} entries of {total}")
        raise malformed(asked, f"more than {PAGES_MAX} pages")

    def _list(self, path: str, **parameters: str) -> list[Json]:
        """All items of all pages, as many as Gitea says there are."""
        asked = Request("GET", path)
        found: list[Json] = []
        announced = None
        for page in range(1, PAGES_MAX + 1):
            query = {"limit": str(PER_PAGE), "page": str(page), **parameters}
            headers, items = self._ask("GET", path, wants=list, parameters=query)
            total = headers.get("x-total-count", "")
            if total != (announced or total) or not (total.isascii() and total.isdigit()):
                raise malformed(asked, f"a list of {announced or 'unknown'} items, then {total}")
            announced = total
            found += items
            if len(found) >= int(total) or not items:
                break
        if len(found) != int(announced or 0):
            raise malformed(asked, f"{len(found)} items of {announced}")
        return found

    def _ask(
        self,
        verb: str,
        path: str,
        *,
        wants: type,
        parameters: dict[str, str] | None = None,
        body: Json = None,
    ) -> tuple[Headers, Json]:
        """One request, redirected within this forge only. `wants` is the kind of document that counts as an answer."""
        asked = Request(verb, path)
        headers = {"Authorization": f"token {read_token(self._token_file)}"}
        request = self._client.build_request(
            verb, self._api_url + path, params=parameters, json=body, headers=headers
        )
        try:
            for _ in range(REDIRECTS_MAX):
                status, answered, content = self._send(asked, request)
                if "location" not in answered or status not in {301, 302, 307, 308}:
                    return answered, read_json(asked, status, answered, content, wants=wants)
                # A renamed repository. The verb stays, whatever the status: browsers alone turn a POST into a GET.
                url = str(request.url.join(answered["location"]))
                if not url.startswith(f"{self._api_url}/"):
                    raise malformed(asked, f"a redirect to {url}")
                request = self._client.build_request(verb, url, json=body, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise unreachable(asked, error) from error
        raise malformed(asked, f"more than {REDIRECTS_MAX} redirects")

    def _send(self, asked: Request, request: httpx2.Request) -> tuple[int, Headers, bytes]:
        response = self._client.send(request, stream=True)
        try:
            content = bytearray()
            for piece in response.iter_bytes():
                content += piece
                if len(content) > BODY_BYTES_MAX:
                    raise malformed(asked, f"more than {BODY_BYTES_MAX} bytes")
        finally:
            response.close()
        return response.status_code, response.headers, bytes(content)
