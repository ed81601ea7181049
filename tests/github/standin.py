"""A stand-in GitHub: what ForgeWorld holds, over HTTP and by webhook, held to GitHub's own description of both.

    with StandInGitHub() as github:
        number = github.open_pull_request("acme/shop", "feature", "A change", "octo-dev")

Leaving the `with` block raises ViolationError if GitHub's description has anything against a request that was made, an
answer that was given or a payload that was sent.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

from previews.domain.record import CommitStatus, StatusState
from tests.fakes.forge_world import (
    OWN_LOGIN,
    ForgeWorld,
    RefusedError,
    Repository,
    WorldPullRequest,
)
from tests.github.description import Operation, webhook_schemas
from tests.github.hooks import Hook, SentDelivery, example, payload_bytes, send
from tests.github.rendering import Renderer
from tests.github.server import Answer, Asked, Fault, Server
from tests.github.trees import trees_of

TOKEN = "github_pat_standin"
RATE_LIMIT = 5000
PER_PAGE = 30
PER_PAGE_MAX = 100
DOCUMENTATION = "https://docs.github.com/rest"
API_VERSION = "2022-11-28"
"""The one that the description is about."""
SINGLE_ONLY = frozenset(
    {
        "additions",
        "changed_files",
        "comments",
        "commits",
        "deletions",
        "maintainer_can_modify",
        "mergeable",
        "mergeable_state",
        "merged",
        "merged_by",
        "rebaseable",
        "review_comments",
    }
)
"""What GitHub works out for a single pull request, not for a list of them."""

Item = TypeVar("Item")


class ViolationError(AssertionError):
    """Something was said to or by the stand-in that GitHub's description does not know."""


class StandInGitHub(ForgeWorld):
    """Serves between `__enter__` and `__exit__`."""

    token = TOKEN

    def __init__(self, *, prefix: str = "") -> None:
        """`prefix` is `/api/v3` on GitHub Enterprise Server."""
        super().__init__()
        self._prefix = prefix
        self._server = Server(self._resolve, self._respond)
        self._render = Renderer(self.url)
        self._hooks: list[Hook] = []
        self.ci_is_elsewhere = False
        """Whether what runs for commits are checks of another service rather than GitHub's own workflows."""
        self.deliveries: list[SentDelivery] = []
        """Every attempt to deliver a webhook, in order."""

    @property
    def url(self) -> str:
        """The API's address, what a client is configured with."""
        return self._server.url + self._prefix

    @property
    def requests(self) -> list[Asked]:
        """Every request that was made, in order."""
        return self._server.requests

    @property
    def violations(self) -> list[str]:
        """What the description says against what happened so far. A test may clear it."""
        return self._server.violations

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.__exit__(kind, error, trace)
        if error is None and self.violations:
            raise ViolationError("\n".join(self.violations))

    # Faults: tests/github/server.py has those that come up often.

    def fail(self, fault: Fault, *, on: str = "", times: int | None = None) -> None:
        """Misbehave from now on, `times` times, on requests whose line (`GET /path?query`) matches `on`."""
        self._server.fail(fault, on=on, times=times)

    def heal(self) -> None:
        """Behave again."""
        self._server.heal()

    # Webhooks.

    def hook(self, url: str, secret: str) -> SentDelivery:
        """Deliver every event of a pull request to `url` from now on, at once. Returns the ping."""
        hook = Hook(url, secret)
        self._hooks.append(hook)
        return self._deliver(hook, "ping", example("ping"))

    def unhook(self) -> None:
        """Lose every webhook from now on."""
        self._hooks.clear()

    def redeliver(self, delivery: SentDelivery) -> SentDelivery:
        """Send it again with the same GUID, as the button on GitHub's page does."""
        return self._deliver(delivery.hook, delivery.event, delivery.body, guid=delivery.guid)

    def payload(
        self, action: str, pull_request: WorldPullRequest, **details: object
    ) -> dict[str, Any]:
        """What GitHub would send about a pull request of this stand-in."""
        repository = self._repository(pull_request.repository)
        return {
            "action": action,
            "number": pull_request.number,
            "pull_request": self._render.pull_request(pull_request, repository.id),
            "repository": self._render.repository(repository.name, repository.id),
            "sender": self._render.user(pull_request.author),
            **details,
        }

    def happened(self, action: str, pull_request: WorldPullRequest, **details: object) -> None:
        if not self._hooks:
            return
        if isinstance(label := details.get("label"), str):
            details["label"] = self._render.label(label, pull_request.repository)
        payload = self.payload(action, pull_request, **details)
        self.violations.extend(webhook_schemas().violations("pull_request", payload))
        for hook in self._hooks:
            self._deliver(hook, "pull_request", payload_bytes(payload))

    def _deliver(self, hook: Hook, event: str, body: bytes, *, guid: str = "") -> SentDelivery:
        delivery = send(hook, event, body, guid=guid)
        self.deliveries.append(delivery)
        return delivery

    # The API.

    def _resolve(self, asked: Asked) -> Asked | Answer:
        """The request at the repository's name of today, or the redirect that GitHub answers at an old name."""
        path = asked.path.removeprefix(self._prefix)
        match path.split("/"):
            case ["", "repositories", repository_id, *rest]:
                name = self.repository_of(int(repository_id)).name
                return replace(asked, path="/".join([f"/repos/{name}", *rest]))
            case ["", "repos", owner, old_name, *rest]:
                held = self.find_repository(f"{owner}/{old_name}")
                if held and held.name.casefold() != f"{owner}/{old_name}".casefold():
                    return self._redirect(asked, "/".join([f"/repositories/{held.id}", *rest]))
        return replace(asked, path=path)

    def _redirect(self, asked: Asked, path: str) -> Answer:
        query = asked.line.partition("?")[2]
        location = f"{self.url}{path}?{query}" if query else f"{self.url}{path}"
        status, words = (
            (301, "Moved Permanently") if asked.method == "GET" else (307, "Temporary Redirect")
        )
        body = {"message": words, "url": location, "documentation_url": DOCUMENTATION}
        return Answer(status, body, {"Location": location})

    def _respond(self, asked: Asked, operation: Operation, in_path: Mapping[str, str]) -> Answer:
        routes: dict[tuple[str, str], Callable[[Asked, Mapping[str, str]], Answer]] = {
            ("GET", "/user"): self._get_user,
            ("GET", "/repos/{owner}/{repo}"): self._get_repository,
            ("GET", "/repos/{owner}/{repo}/actions/runs"): self._list_workflow_runs,
            ("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs"): self._list_check_runs,
            ("GET", "/repos/{owner}/{repo}/git/trees/{tree_sha}"): self._get_tree,
            ("GET", "/repos/{owner}/{repo}/pulls"): self._list_pulls,
            ("GET", "/repos/{owner}/{repo}/pulls/{pull_number}"): self._get_pull,
            ("POST", "/repos/{owner}/{repo}/statuses/{sha}"): self._create_status,
            ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments"): self._list_comments,
            ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments"): self._create_comment,
            ("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}"): self._update_comment,
        }
        try:
            _check_headers(asked.headers)
            answer = routes[operation.method, operation.template](asked, in_path)
        except RefusedError as refused:
            answer = _refusal(refused.status, refused.words)
        return Answer(answer.status, answer.body, {**self._rate_headers(), **answer.headers})

    def _rate_headers(self) -> dict[str, str]:
        used = len(self.requests)
        return {
            "X-RateLimit-Limit": str(RATE_LIMIT),
            "X-RateLimit-Remaining": str(max(RATE_LIMIT - used, 0)),
            "X-RateLimit-Used": str(used),
            "X-RateLimit-Reset": str(int(time.time()) + 3600),
            "X-RateLimit-Resource": "core",
        }

    def _get_user(self, _: Asked, __: Mapping[str, str]) -> Answer:
        return Answer(200, self._render.own_user(OWN_LOGIN))

    def _get_repository(self, _: Asked, in_path: Mapping[str, str]) -> Answer:
        return Answer(200, self._render.full_repository(self._named(in_path)))

    def _get_tree(self, asked: Asked, in_path: Mapping[str, str]) -> Answer:
        commits = self._named(in_path).commits
        name = in_path["tree_sha"]
        known = [tree for files in commits.values() for tree in trees_of(files)]
        known += [replace(trees_of(files)[0], id=commit) for commit, files in commits.items()]
        found = next((tree for tree in known if tree.id == name), None)
        if found is None:
            raise RefusedError(404, "Not Found")
        whole = "recursive" in asked.query
        entries = [
            {
                "path": path,
                "mode": "040000" if kind == "tree" else "100644",
                "type": kind,
                "sha": object_id,
                "url": f"{self.url}/repos/git/{kind}s/{object_id}",
            }
            for path, kind, object_id in found.entries
            if whole or "/" not in path
        ]
        url = f"{self.url}/repos/git/trees/{found.id}"
        return Answer(200, {"sha": found.id, "url": url, "tree": entries, "truncated": False})

    def _list_workflow_runs(self, asked: Asked, in_path: Mapping[str, str]) -> Answer:
        repository = self._named(in_path)
        (head_sha,) = asked.query["head_sha"]
        found = [] if self.ci_is_elsewhere else self.runs(repository.name, head_sha)
        rendered = [self._render.workflow_run(each, repository, head_sha) for each in found]
        return Answer(200, {"total_count": len(rendered), "workflow_runs": rendered})

    def _list_check_runs(self, _: Asked, in_path: Mapping[str, str]) -> Answer:
        repository, head_sha = self._named(in_path), in_path["ref"]
        if head_sha not in repository.commits:
            raise RefusedError(422, f"No commit found for SHA: {head_sha}")
        found = self.runs(repository.name, head_sha) if self.ci_is_elsewhere else []
        rendered = [self._render.check_run(each, repository, head_sha) for each in found]
        return Answer(200, {"total_count": len(rendered), "check_runs": rendered})

    def _list_pulls(self, asked: Asked, in_path: Mapping[str, str]) -> Answer:
        repository = self._named(in_path)
        if asked.query.get("state", ["open"]) != ["open"]:
            raise NotImplementedError("the stand-in lists open pull requests only")
        found = self.open_pull_requests(repository.name)
        page, headers = self._page(asked, f"/repositories/{repository.id}/pulls", found)
        return Answer(200, [self._simple(each, repository) for each in page], headers)

    def _simple(self, pull_request: WorldPullRequest, repository: Repository) -> dict[str, Any]:
        """As in a list: without what GitHub works out for a single one only."""
        whole = self._render.pull_request(pull_request, repository.id)
        return {name: value for name, value in whole.items() if name not in SINGLE_ONLY}

    def _get_pull(self, _: Asked, in_path: Mapping[str, str]) -> Answer:
        repository = self._named(in_path)
        found = self.pull_request(repository.name, int(in_path["pull_number"]))
        return Answer(200, self._render.pull_request(found, repository.id))

    def _create_status(self, asked: Asked, in_path: Mapping[str, str]) -> Answer:
        repository = self._named(in_path)
        if asked.body["state"] not in set(StatusState):
            raise RefusedError(422, "Validation Failed")
        target_url = asked.body.get("target_url") or ""
        if target_url and not target_url.startswith(("https://", "http://")):
            raise RefusedError(422, "Target url must use http(s) scheme")
        status = CommitStatus(
            context=asked.body.get("context", "default"),
            state=StatusState(asked.body["state"]),
            description=asked.body.get("description") or "",
            target_url=target_url,
        )
        self.add_status(repository.name, in_path["sha"], status)
        rendered = self._render.status(
            status,
            repository=repository.name,
            sha=in_path["sha"],
            creator=OWN_LOGIN,
            moment=datetime.now(UTC),
        )
        return Answer(201, rendered)

    def _list_comments(self, asked: Asked, in_path: Mapping[str, str]) -> Answer:
        repository = self._named(in_path)
        number = int(in_path["issue_number"])
        self.pull_request(repository.name, number)
        path = f"/repositories/{repository.id}/issues/{number}/comments"
        page, headers = self._page(asked, path, self.comments_of(repository.name, number))
        return Answer(200, [self._render.comment(each, repository.name) for each in page], headers)

    def _create_comment(self, asked: Asked, in_path: Mapping[str, str]) -> Answer:
        repository = self._named(in_path)
        number = int(in_path["issue_number"])
        created = self.comment(repository.name, number, asked.body["body"], author=OWN_LOGIN)
        return Answer(201, self._comment_named(created, repository))

    def _update_comment(self, asked: Asked, in_path: Mapping[str, str]) -> Answer:
        repository = self._named(in_path)
        comment_id = int(in_path["comment_id"])
        if self.comment_of(comment_id).author != OWN_LOGIN:
            raise RefusedError(403, "Resource not accessible by personal access token")
        self.edit_comment(comment_id, asked.body["body"])
        return Answer(200, self._comment_named(comment_id, repository))

    def _comment_named(self, comment_id: int, repository: Repository) -> dict[str, Any]:
        return self._render.comment(self.comment_of(comment_id), repository.name)

    def _named(self, in_path: Mapping[str, str]) -> Repository:
        return self.visible_repository(f"{in_path['owner']}/{in_path['repo']}")

    def _page(
        self, asked: Asked, path: str, items: list[Item]
    ) -> tuple[list[Item], dict[str, str]]:
        """One page of a list, with the links to the others that GitHub gives: by the repository's id."""
        query = {name: values[0] for name, values in asked.query.items()}
        size = min(int(query.get("per_page", PER_PAGE)), PER_PAGE_MAX)
        page = int(query.get("page", 1))
        last = max(-(-len(items) // size), 1)
        numbers = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        useful: tuple[str, ...] = ("next", "last") if page == 1 else ("prev", "first")
        if 1 < page < last:
            useful = ("prev", "next", "last", "first")
        links = [
            f'<{self.url}{path}?{urlencode(query | {"page": numbers[name]})}>; rel="{name}"'
            for name in useful
        ]
        headers = {"Link": ", ".join(links)} if last > 1 else {}
        return items[(page - 1) * size : page * size], headers


def _check_headers(headers: Mapping[str, str]) -> None:
    if headers.get("authorization", "").partition(" ")[2] != TOKEN:
        raise RefusedError(401, "Bad credentials")
    if "user-agent" not in headers:
        raise RefusedError(403, "Request forbidden by administrative rules")
    if headers.get("x-github-api-version", API_VERSION) != API_VERSION:
        raise RefusedError(400, "The API version is not supported")


def _refusal(status: int, words: str, **headers: str) -> Answer:
    body = {"message": words, "documentation_url": DOCUMENTATION, "status": str(status)}
    return Answer(status, body, headers)
