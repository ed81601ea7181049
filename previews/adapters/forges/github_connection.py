"""The way to GitHub: PyGithub's connections and objects, without its sleeps and retries, and within GitHub's limits.

PyGithub takes any answer below 400 for a good one and an empty one for an empty list, so every answer passes through
`GitHubConnection.ask`, which proves it first. Each request is weighed by rate_budget.py before it is sent.
"""

import math
import re
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from types import NoneType
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from previews.adapters.forges.answers import (
    CredentialsError,
    Headers,
    Json,
    Request,
    forge_time,
    malformed,
    read_json,
    unreachable,
)
from previews.adapters.forges.github_credentials import (
    Credential,
    Credentials,
    RefusedCredentialError,
)
from previews.adapters.forges.github_requester import PER_PAGE, ProvenRequester, Sent
from previews.adapters.forges.kept_answers import KeptAnswers
from previews.adapters.forges.rate_budget import RateBudget, read_window
from previews.domain.allowance import Allowance
from previews.errors import TransientError

PAGES_MAX = 200
"""No list is longer; one that seems to be goes in circles."""
TIMEOUT_SECONDS = 10
DONE = frozenset({HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT})
"""How GitHub answers what it has nothing to tell about."""
LIMIT_HEADER = "x-ratelimit-limit"

_NEXT = re.compile(r'<([^<>]+)>[^,<]*;\s*rel="next"')
_REPOSITORY = re.compile(r"/repos/([^/?]+/[^/?]+)")

T = TypeVar("T")
Reader = Callable[[Request, Json], T]
"""Makes a value of a document, or raises. A function of a module: kept answers are known by it."""


class GitHubConnection:
    """Asks GitHub with the credentials that the path calls for. Safe from any thread."""

    def __init__(
        self,
        *,
        api_url: str,
        credentials: Credentials,
        timeout_seconds: int = TIMEOUT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._credentials = credentials
        self._timeout_seconds = timeout_seconds
        self._monotonic = monotonic
        self._kept = KeptAnswers(monotonic)
        self._budgets: dict[str, RateBudget] = {}
        self._budgets_lock = threading.Lock()
        self._own_id: int | None = None
        self._of_thread = threading.local()

    @property
    def is_app(self) -> bool:
        """Whether it is a GitHub App that asks: others have no check runs, and see no deliveries of webhooks."""
        return self._credentials.is_app

    @property
    def requester(self) -> ProvenRequester:
        """For PyGithub's objects, which send through it what `ask` sends.

        This thread's own: PyGithub keeps the request under way in its connection.
        """
        found: ProvenRequester | None = getattr(self._of_thread, "requester", None)
        if found is None:
            found = ProvenRequester(self.ask, self._api_url, self._timeout_seconds)
            self._of_thread.requester = found
        return found

    def ask(
        self,
        verb: str,
        url: str,
        *,
        wants: type,
        parameters: Mapping[str, Any] | None = None,
        body: Json = None,
        headers: Mapping[str, str] | None = None,
        repository: str = "",
        is_feedback: bool | None = None,
    ) -> tuple[Headers, Json]:
        """One request, to the configured host only.

        `wants` is the kind of document that counts as an answer: dict or list; NoneType for what is answered with 202
        or 204, as deletions and redeliveries are, and then the document is None. A deletion of what is not there raises
        AbsentError, as a read does, and so does a PATCH.

        `headers` are sent besides those of every request. `repository` says whom it is about where the path does not
        (`/repos/OWNER/NAME/...` does). Feedback may not use the last of an hour's requests: every write is feedback,
        and so are the reads that are made for one, which say so by `is_feedback`.
        """
        sent = Sent(
            verb,
            url,
            wants,
            parameters or {},
            body,
            headers or {},
            is_feedback=verb != "GET" if is_feedback is None else is_feedback,
        )
        return self._ask(sent, repository)

    def each(
        self,
        path: str,
        *,
        is_feedback: bool = False,
        parameters: Mapping[str, str | int] | None = None,
    ) -> Iterator[Json]:
        """All items of a list, of all its pages; what was yielded counts only if the end is reached."""
        query = {"per_page": PER_PAGE, **(parameters or {})}
        sent = Sent("GET", path, list, query, is_feedback=is_feedback)
        headers, page = self._ask(sent)
        yield from page
        yield from self._further_pages(sent, headers)

    def fetch(
        self, path: str, read: Reader[T], *, parameters: Mapping[str, Any] | None = None
    ) -> T:
        """One document, read. It is asked for by its ETag if it was read before: unchanged, it costs nothing."""
        sent = Sent("GET", path, dict, parameters or {})

        def read_whole(_: Headers, document: Json) -> tuple[T, bool]:
            return read(sent.request, document), True

        _, value, _ = self._ask_by_etag(sent, read_whole, read)
        return value

    def fetch_all(self, path: str, read: Reader[T], **parameters: str | int) -> list[T]:
        """All items of a list, of all its pages, read.

        It is asked for by its ETag if it was read before and fitted on one page with room for one more: whatever is
        added to such a list or taken from it changes that page. The first of several full pages may stay as it is when
        the others change, and the links to them are no part of what an ETag stands for; so such a list is read anew.
        """
        sent = Sent("GET", path, list, {"per_page": PER_PAGE, **parameters})

        def read_page(headers: Headers, page: Json) -> tuple[tuple[T, ...], bool]:
            is_alone = len(page) < PER_PAGE and not headers.get("link")
            return tuple(read(sent.request, each) for each in page), is_alone

        headers, items, is_whole = self._ask_by_etag(sent, read_page, read)
        if is_whole:
            return list(items)
        return [*items, *(read(sent.request, each) for each in self._further_pages(sent, headers))]

    def own_id(self, repository: str) -> int:
        """The id of the user that our comments are from. Asked once."""
        if self._own_id is None:
            self._own_id = self._trying(
                lambda: self._credentials.fetch_own_id(repository, self._send_for_credentials)
            )
        return self._own_id

    def check(self) -> None:
        """Make one cheap request, for readiness."""
        self._trying(lambda: self._credentials.check(self._send_for_credentials))

    def list_lacking(self, repository: str) -> Sequence[str]:
        """Which of the permissions that an App needs nobody has granted it in this repository."""
        return self._trying(
            lambda: self._credentials.list_lacking(repository, self._send_for_credentials)
        )

    def allowances(self) -> tuple[Allowance, ...]:
        """What may still be asked, by account."""
        with self._budgets_lock:
            budgets = dict(self._budgets)
        return tuple(budget.allowance(account) for account, budget in sorted(budgets.items()))

    def _ask_by_etag(
        self, sent: Sent, read: Callable[[Headers, Json], tuple[T, bool]], name: object
    ) -> tuple[Headers, T, bool]:
        """The answer's headers, what was read, and whether that is all of it: only then it is kept."""
        asked = _name(sent, name)
        kept = self._kept.find(asked)
        if kept is not None:
            headers, document = self._ask(replace(sent, etag=kept.etag))
            if document is None and _is_same(headers.get("etag", ""), kept.etag):
                return headers, kept.value, True
            if document is None:
                # Somebody on the way says that something is unchanged, and not what.
                self._kept.drop(asked)
                headers, document = self._ask(sent)
        else:
            headers, document = self._ask(sent)
        value, is_whole = read(headers, document)
        if is_whole and headers.get("etag"):
            self._kept.keep(asked, headers["etag"], value)
        else:
            self._kept.drop(asked)
        return headers, value, is_whole

    def _further_pages(self, sent: Sent, headers: Headers) -> Iterator[Json]:
        repository, first = _repository_in(sent.url), sent.request
        for _ in range(PAGES_MAX - 1):
            link = headers.get("link", "")
            following = _NEXT.search(link)
            if following is None:
                if "next" in link:
                    raise malformed(first, f"the links {link}")
                return
            further = replace(sent, url=following.group(1), parameters={}, headers={})
            headers, page = self._ask(further, repository)
            if not page:
                raise malformed(first, "an empty page after one that promised more")
            yield from page
        raise malformed(first, f"more than {PAGES_MAX} pages")

    def _ask(self, sent: Sent, repository: str = "") -> tuple[Headers, Json]:
        about = repository or _repository_in(sent.url)

        def ask() -> tuple[Headers, Json]:
            path = sent.request.path
            credential = self._credentials.choose(path, about, self._send_for_credentials)
            return self._send(credential, sent)

        return self._trying(ask)

    def _trying(self, ask: Callable[[], T]) -> T:
        """A credential that GitHub no longer takes is replaced, once, where there may be another."""
        try:
            return ask()
        except RefusedCredentialError as error:
            if not self._credentials.refused(error.credential, error.headers):
                raise
        return ask()

    def _send_for_credentials(
        self,
        credential: Credential,
        verb: str,
        url: str,
        *,
        wants: type,
        body: Mapping[str, object] | None = None,
    ) -> tuple[Headers, Json]:
        return self._send(credential, Sent(verb, url, wants, body=body))

    def _send(self, credential: Credential, sent: Sent) -> tuple[Headers, Json]:
        asked, budget = sent.request, self._budget(credential.account)
        # What an App asks of itself, tokens and redeliveries, writes nothing that anybody reads.
        creates = sent.verb != "GET" and not asked.path.startswith("/app/")
        if wait := budget.take(is_feedback=sent.is_feedback, creates=creates):
            said = f"{asked} was not sent: the limits of {credential.account} allow it in {math.ceil(wait)} s"
            raise TransientError("ForgeRateLimited", said, retry_after_seconds=wait)
        window = None
        try:
            self._check_host(asked, sent.url)
            status, headers, text = self.requester.send(credential, sent)
            window = read_window(headers, forge_time(headers))
            if status in {301, 307, 308} and "location" in headers:
                # What GitHub answers about a renamed repository. The address that it gives has the query in it.
                self._check_host(asked, headers["location"])
                moved = replace(sent, url=headers["location"], parameters={})
                status, headers, text = self.requester.send(credential, moved)
        except OSError as error:
            raise unreachable(asked, error) from error
        except (RuntimeError, ValueError) as error:
            # How PyGithub refuses redirects to elsewhere or in a circle, and headers that are no numbers.
            raise malformed(asked, str(error)) from error
        finally:
            budget.end(window)
        return headers, self._prove(credential, sent, status, headers, text)

    def _prove(
        self, credential: Credential, sent: Sent, status: int, headers: Headers, text: str
    ) -> Json:
        """The document of an answer, if it is one; None for one that says that there is nothing to tell."""
        budget = self._budget(credential.account)
        if (sent.etag and status == HTTPStatus.NOT_MODIFIED) or (
            sent.wants is NoneType and status in DONE
        ):
            budget.accepted(says_limits=LIMIT_HEADER in headers)
            return None
        try:
            document = read_json(sent.request, status, headers, text, wants=sent.wants)
        except CredentialsError as error:
            raise RefusedCredentialError(error.message, credential, headers) from error
        except TransientError as error:
            if error.reason != "ForgeRateLimited" or error.retry_after_seconds is None:
                raise
            is_said = "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"
            wait = budget.limited(error.retry_after_seconds, is_said=is_said)
            raise TransientError(error.reason, error.message, retry_after_seconds=wait) from error
        budget.accepted(says_limits=LIMIT_HEADER in headers)
        return document

    def _check_host(self, asked: Request, url: str) -> None:
        """An address that an answer gave: PyGithub would ask the configured host for another host's path."""
        if not url.startswith(("/", f"{self._api_url}/")):
            raise malformed(asked, f"the address {url}, which is not below {self._api_url}")

    def _budget(self, account: str) -> RateBudget:
        with self._budgets_lock:
            return self._budgets.setdefault(account, RateBudget(self._monotonic))


def _repository_in(url: str) -> str:
    found = _REPOSITORY.search(urlsplit(url).path)
    return unquote(found.group(1)) if found else ""


def _name(sent: Sent, reader: object) -> Hashable:
    return (reader, sent.url, tuple(sorted(sent.parameters.items())))


def _is_same(etag: str, kept: str) -> bool:
    """Proxies that compress make an ETag a weak one."""
    return etag.removeprefix("W/") == kept.removeprefix("W/")
