"""A stand-in GitHub: what ForgeWorld holds, over HTTP and by webhook, held to GitHub's own description of both.

    with StandInGitHub() as github:
        number = github.open_pull_request("acme/shop", "feature", "A change", "octo-dev")

Leaving the `with` block raises ViolationError if GitHub's description has anything against a request that was made, an
answer that was given or a payload that was sent.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

from tests.fakes.forge_things import RefusedError
from tests.github import (
    check_routes,
    comment_routes,
    deployment_routes,
    repository_routes,
    webhook_sender,
)
from tests.github.app_tokens import StandInApp
from tests.github.conditional import RateLimits, conditional
from tests.github.description import Operation
from tests.github.desk import Routes
from tests.github.feedback_rendering import FeedbackRenderer
from tests.github.server import Answer, Asked, Fault, Server
from tests.github.webhook_sender import WebhookSender

TOKEN = "github_pat_standin"
DOCUMENTATION = "https://docs.github.com/rest"
API_VERSION = "2022-11-28"
"""The one that the description is about."""
ROUTES: Routes = {
    **repository_routes.ROUTES,
    **comment_routes.ROUTES,
    **check_routes.ROUTES,
    **deployment_routes.ROUTES,
    **webhook_sender.ROUTES,
}


class ViolationError(AssertionError):
    """Something was said to or by the stand-in that GitHub's description does not know."""


class StandInGitHub(WebhookSender):
    """Serves between `__enter__` and `__exit__`."""

    token = TOKEN

    def __init__(self, *, prefix: str = "") -> None:
        """`prefix` is `/api/v3` on GitHub Enterprise Server."""
        super().__init__()
        self._prefix = prefix
        self._server = Server(self._resolve, self._respond, self._finish)
        self.render = FeedbackRenderer(self.url)
        self.limits = RateLimits(self._clock)
        self.app = StandInApp(self.render, find_repository=self.find_repository, clock=self._clock)
        self._routes = {**ROUTES, **self.app.routes()}

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

    def counts(self, status: int | None = None) -> Counter[str]:
        """How many requests there were of each kind (`GET /repos/{owner}/{repo}/pulls`), of those answered so.

        Those that a fault struck instead of an answer, and redirects, are not counted.
        """
        return self._server.counts(status)

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

    def set_clock_ahead(self, seconds: float) -> None:
        """Have GitHub's clock differ from everybody's here."""
        self._server.ahead_seconds = seconds

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
        try:
            _check_headers(asked.headers)
            if not _has_token(asked):
                self.app.check(asked, operation, in_path)
            if limited := self.limits.refusal(self._account(asked), asked):
                return limited
            return self._routes[operation.method, operation.template](self, asked, in_path)
        except RefusedError as refused:
            return _refusal(refused.status, refused.words)

    def _finish(self, asked: Asked, answer: Answer) -> Answer:
        return self.limits.counting(self._account(asked), conditional(asked, answer))

    def is_app(self, asked: Asked) -> bool:
        return not _has_token(asked)

    def _account(self, asked: Asked) -> str:
        return TOKEN if _has_token(asked) else self.app.account(asked)

    def _clock(self) -> float:
        return time.time() + self._server.ahead_seconds


def _has_token(asked: Asked) -> bool:
    return asked.headers.get("authorization", "").partition(" ")[2] == TOKEN


def _check_headers(headers: Mapping[str, str]) -> None:
    if "user-agent" not in headers:
        raise RefusedError(403, "Request forbidden by administrative rules")
    if headers.get("x-github-api-version", API_VERSION) != API_VERSION:
        raise RefusedError(400, "The API version is not supported")


def _refusal(status: int, words: str, **headers: str) -> Answer:
    body = {"message": words, "documentation_url": DOCUMENTATION, "status": str(status)}
    return Answer(status, body, headers)
