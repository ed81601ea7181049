"""Many developers at a Gitea that goes away now and then: each call is made again until it is known to be done."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx2

from previews.domain.preview import HeadSha
from previews.domain.record import STATUS_PREFIX
from tests.bench.rig import Rig
from tests.soak.branches import Branches, branch_of
from tests.soak.crowd import QUESTION
from tests.soak.faults import Away, Fault
from tests.soak.forge import Checked, ForgeRefusedError
from tests.soak.lives import Step
from tests.soak.sayings import is_reply, is_sticky, tells_removed
from tests.soak.things import Thing
from tests.world.gitea import OpenedPullRequest

CALLS_AT_ONCE = 2
"""More of them only queue at the forge, which shares two processors with everything else."""
PATIENCE_SECONDS = 600.0
"""On a machine that does much else Gitea was away for more than two minutes."""
RETRY_SECONDS = 0.5
THERE_ALREADY = frozenset({409, 422})

T = TypeVar("T")
Object = dict[str, Any]


@contextmanager
def gitea_for_soak(rig: Rig, scripts: Sequence[Sequence[Step]]) -> Iterator["GiteaForge"]:
    forge = GiteaForge(rig, scripts)
    try:
        yield forge
    finally:
        forge.close()


class GiteaForge:
    """One repository at Gitea. It fails as the Git server that it is as well."""

    kinds: Sequence[str] = ()

    def __init__(self, rig: Rig, scripts: Sequence[Sequence[Step]]) -> None:
        self._rig = rig
        self._branches = Branches(rig.shop, scripts)
        self._client = httpx2.Client(
            base_url=f"{rig.cluster.gitea_url}/api/v1/repos/{rig.repository}",
            headers={"authorization": f"token {rig.cluster.gitea_admin_token}"},
            trust_env=False,
            timeout=30,
        )
        self._turn = threading.Semaphore(CALLS_AT_ONCE)

    def close(self) -> None:
        self._client.close()

    def prepare(self) -> None:
        self._branches.prepare()

    def connect(self, url: str) -> None:
        self._rig.gitea.create_webhook(self._rig.repository, url, self._rig.secret)

    def outages(self) -> Mapping[Fault, Away]:
        return {}

    def first_commit(self, life: int) -> HeadSha:
        return self._branches.commit(life, 0)

    def push(self, life: int, index: int) -> HeadSha:
        return self._until_done(
            f"push {index} of {branch_of(life)}", lambda: self._branches.push(life, index)
        )

    def open_pull_request(self, life: int) -> int:
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
        self._ask("POST", f"/issues/{number}/comments", json={"body": body})

    def open_numbers(self) -> list[int]:
        """The first page of what is open is enough for what a run may have left."""
        listed: Any = self._ask("GET", "/pulls?state=open&limit=50")
        return [each["number"] for each in listed or []]

    def take(self) -> list[Thing]:
        return []

    def forget_project(self) -> bool:
        return False

    def shows_live(self, number: int, head_sha: HeadSha) -> bool:  # noqa: ARG002 - another asks there
        """Each question costs Gitea more than it is worth: its statuses are read in the end."""
        return True

    def check(self, number: int, heads: Sequence[HeadSha], *, was_live: bool) -> Checked:
        found = self._rig.gitea.comments(OpenedPullRequest(self._rig.repository, number, "", ""))
        replies = [it for it in found if is_reply(it["body"])]
        comments = [it for it in found if is_sticky(it["body"])]
        *before, last = [self._status(head_sha) for head_sha in heads]
        superseded = sum(1 for status in before if status and status["status"] == "pending")
        said = any(before) or last or comments
        # Who closes before anything is there is told nothing.
        problem = _problem(number, last, comments) if said or was_live else ""
        asked = sum(it["body"].strip() == QUESTION for it in found)
        return Checked(problem, len(comments), asked, len(replies), superseded)

    def wrong(self) -> list[str]:
        return []

    def figures(self) -> Mapping[str, float]:
        return {}

    def _status(self, head_sha: str) -> Object | None:
        """The newest one of the manager on a commit."""
        found = self._rig.gitea.statuses(self._rig.repository, head_sha)
        return next((it for it in found if it["context"].startswith(STATUS_PREFIX)), None)

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


def _problem(number: int, status: Object | None, comments: Sequence[Object]) -> str:
    if status is None:
        return f"{number}: no status"
    if status["status"] != "success" or not tells_removed(status["description"]):
        return f"{number}: {status['status']} {status['description']!r}"
    if not comments:
        return f"{number}: no comment"
    return ""
