"""PyGithub's sender of requests, without its sleeps, retries and redirects: GitHubConnection has one a thread."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import NoneType
from typing import Any, Protocol
from urllib.parse import urlsplit

from github.Auth import Auth
from github.Requester import (
    HTTPRequestsConnectionClass,
    HTTPSRequestsConnectionClass,
    Requester,
    RequestsResponse,
)

from previews.adapters.forges.answers import Headers, Json, Request
from previews.adapters.forges.github_credentials import Credential

API_VERSION = "2022-11-28"
PER_PAGE = 100


class Ask(Protocol):
    """A proven request, with the credential that it calls for."""

    def __call__(
        self,
        verb: str,
        url: str,
        *,
        wants: type,
        parameters: Mapping[str, Any] | None = None,
        body: Json = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Headers, Json]: ...


@dataclass(frozen=True, slots=True)
class Sent:
    """One request, but for its credential."""

    verb: str
    url: str
    wants: type
    parameters: Mapping[str, Any] = field(default_factory=dict)
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str = ""
    """With one, `not modified` is an answer, and no document comes."""
    is_feedback: bool = False

    @property
    def request(self) -> Request:
        return Request(self.verb, urlsplit(self.url).path)


class _NotActedOnError(Exception):
    """An answer that PyGithub would do something about by itself."""

    def __init__(self, response: RequestsResponse) -> None:
        super().__init__()
        self.status: int = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.text = response.read()


def _as_answered(response: RequestsResponse) -> RequestsResponse:
    """PyGithub follows a 301 without its query, and asks again and again, asleep in between, after a 202."""
    if response.status in {HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.ACCEPTED}:
        raise _NotActedOnError(response)
    return response


class _HTTP(HTTPRequestsConnectionClass):
    def getresponse(self) -> RequestsResponse:
        return _as_answered(super().getresponse())


class _HTTPS(HTTPSRequestsConnectionClass):
    def getresponse(self) -> RequestsResponse:
        return _as_answered(super().getresponse())


class ProvenRequester(Requester):
    """PyGithub's sender of requests, which has what its objects send proven like everything else."""

    # Its own way to say so, injectConnectionClasses, would also have each request make a connection anew.
    _Requester__httpConnectionClass = _HTTP
    _Requester__httpsConnectionClass = _HTTPS

    def __init__(self, ask: Ask, api_url: str, timeout_seconds: int) -> None:
        self._ask = ask
        self._chosen = ChosenCredential()
        super().__init__(
            auth=self._chosen,
            base_url=api_url,
            timeout=timeout_seconds,
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

    def send(self, credential: Credential, sent: Sent) -> tuple[int, Headers, str]:
        """Send it as it is, and come back with whatever is answered."""
        self._chosen.credential = credential
        headers = dict(sent.headers)
        if sent.etag:
            headers["If-None-Match"] = sent.etag
        try:
            return self.requestJson(
                sent.verb, sent.url, dict(sent.parameters), headers, input=sent.body
            )
        except _NotActedOnError as answered:
            return answered.status, answered.headers, answered.text

    def requestJsonAndCheck(  # noqa: N802, PLR0917 - PyGithub's own: all its objects send their requests here
        self,
        verb: str,
        url: str,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        input: Any | None = None,  # noqa: A002, ANN401 - PyGithub's signature
        follow_302_redirect: bool = False,  # noqa: ARG002, FBT001, FBT002 - PyGithub's signature
    ) -> tuple[dict[str, Any], Any]:
        answered, document = self._ask(
            verb,
            url,
            wants=NoneType if verb == "DELETE" else dict,
            parameters=parameters,
            body=input,
            headers=headers,
        )
        return dict(answered), document


class ChosenCredential(Auth):
    """What the request under way is sent with: a requester has one at a time."""

    credential: Credential

    @property
    def token_type(self) -> str:
        return self.credential.kind

    @property
    def token(self) -> str:
        return self.credential.secret
