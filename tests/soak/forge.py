"""Many developers at a forge that goes away now and then: each call is made again until it is known to be done."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx2

from previews.domain.preview import HeadSha
from tests.cluster import RunningCluster
from tests.soak.branches import Branches, branch_of

CALLS_AT_ONCE = 2
"""More of them only queue at the forge, which shares two processors with everything else."""
PATIENCE_SECONDS = 300.0
"""On a machine that does much else Gitea was away for more than two minutes."""
RETRY_SECONDS = 0.5
THERE_ALREADY = frozenset({409, 422})

T = TypeVar("T")


class ForgeRefusedError(Exception):
    """The forge answered, and did not do it."""


class PatientForge:
    """One repository at Gitea. Safe from any thread."""

    def __init__(self, cluster: RunningCluster, repository: str, branches: Branches) -> None:
        self._branches = branches
        self._client = httpx2.Client(
            base_url=f"{cluster.gitea_url}/api/v1/repos/{repository}",
            headers={"authorization": f"token {cluster.gitea_admin_token}"},
            trust_env=False,
            timeout=30,
        )
        self._turn = threading.Semaphore(CALLS_AT_ONCE)

    def close(self) -> None:
        self._client.close()

    def first_commit(self, life: int) -> HeadSha:
        """What its branch has pointed to since before the run."""
        return self._branches.commit(life, 0)

    def push(self, life: int, index: int) -> HeadSha:
        """Have a life's branch point to its next commit."""
        return self._until_done(
            f"push {index} of {branch_of(life)}", lambda: self._branches.push(life, index)
        )

    def open_pull_request(self, life: int) -> int:
        """Returns its number."""
        branch = branch_of(life)
        body = {"head": branch, "base": "main", "title": f"Change {branch}"}
        made = self._ask("POST", "/pulls", json=body)
        if made is None:
            made = self._ask("GET", f"/pulls/main/{branch}")
        number: int = (made or {})["number"]
        return number

    def set_open(self, number: int, *, is_open: bool) -> None:
        self._ask("PATCH", f"/pulls/{number}", json={"state": "open" if is_open else "closed"})

    def say(self, number: int, body: str) -> None:
        """Perhaps twice, if an answer was lost."""
        self._ask("POST", f"/issues/{number}/comments", json={"body": body})

    def open_numbers(self) -> list[int]:
        """The first page of what is open is enough for what a run may have left."""
        listed: Any = self._ask("GET", "/pulls?state=open&limit=50")
        return [each["number"] for each in listed or []]

    def _ask(self, method: str, path: str, **request: Any) -> Any:  # noqa: ANN401 - JSON
        """The answer; None when what should be made is there already."""

        def attempt() -> Any:  # noqa: ANN401 - as above
            answer = self._client.request(method, path, **request)
            if method == "POST" and answer.status_code in THERE_ALREADY:
                return None
            if answer.status_code == httpx2.codes.UNAUTHORIZED:
                # Of a token that it took before and takes again: Gitea has just been started.
                raise RuntimeError(answer.text[:300])
            if answer.is_client_error:
                raise ForgeRefusedError(
                    f"{method} {path}: {answer.status_code} {answer.text[:300]}"
                )
            return answer.raise_for_status().json() if answer.content else {}

        return self._until_done(f"{method} {path}", attempt)

    def _until_done(self, what: str, attempt: Callable[[], T]) -> T:
        """Try as long as the forge is away."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with self._turn:
                    return attempt()
            except (httpx2.HTTPError, RuntimeError) as error:
                if time.monotonic() > deadline:
                    raise ForgeRefusedError(f"{what}: {error}") from error
            time.sleep(RETRY_SECONDS)
