"""Requests to an image registry: its redirects, its question who we are, and the token that answers it.

A credential goes only to the registry that it is meant for and to the token server which that registry names, and only
over https; plain http is for loopback and for registries that are listed as insecure.
"""

import json
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from threading import Lock
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import httpx2

from previews.adapters.one_line import one_line
from previews.adapters.registry_login import (
    Challenge,
    Repository,
    parse_challenges,
    read_credential,
)
from previews.adapters.retry_after import retry_after_seconds
from previews.errors import PreviewsError, StalledError, TransientError

REDIRECTS_MAX = 3
ANSWER_BYTES_MAX = 256 * 1024
TOKEN_SECONDS = 60.0
"""How long a token is good for when its server does not say, by the token protocol."""
AUTHORIZATION_SECONDS_MAX = 300.0
"""After which the docker config.json is read again, whatever a token says."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, after redirects and the question who we are."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    challenges: tuple[str, ...] = ()
    """Every `WWW-Authenticate` header."""

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def kind(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def is_page(self) -> bool:
        """Whether it is for people: some proxy's, then, and not the registry's."""
        return self.kind == "text/html"


@dataclass(frozen=True, slots=True)
class _Authorization:
    header: str
    until: float


class RegistrySession:
    """Safe from any thread."""

    def __init__(
        self,
        *,
        docker_config: Path | None,
        insecure_registries: Collection[str],
        timeout_seconds: float,
    ) -> None:
        """`docker_config` is read whenever a registry asks who we are, so that a new password needs no restart."""
        self._docker_config = docker_config
        self._insecure = frozenset(insecure_registries)
        self._client = httpx2.Client(
            timeout=timeout_seconds,
            follow_redirects=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "previews"},
        )
        self._lock = Lock()
        self._authorizations: dict[Repository, _Authorization] = {}

    def close(self) -> None:
        self._client.close()

    def ask(
        self,
        method: str,
        wanted: Repository,
        path: str,
        *,
        accept: str = "*/*",
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> Answer:
        """One request about a repository; `path` is what follows its name.

        Raises TransientError for what is no answer, and StalledError if there is no credential to answer with.
        """
        scheme = "http" if self._is_insecure(wanted.registry) else "https"
        url = f"{scheme}://{wanted.registry}/v2/{quote(wanted.name)}{path}"
        headers = {"Accept": accept}

        def send(authorization: str | None) -> Answer:
            mine = {**headers, "Authorization": authorization} if authorization else headers
            return self._follow(method, url, mine, wanted, bytes_max)

        answer = send(self._known_authorization(wanted))
        if answer.status == HTTPStatus.UNAUTHORIZED:
            answer = send(self._authorize(wanted, parse_challenges(answer.challenges)))
        return answer

    def refusal(self, wanted: Repository, answer: Answer) -> PreviewsError:
        """What to raise for an answer that is none."""
        subject = f"{wanted.registry} was asked for an image of {wanted.name} and"
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            place = f" in {self._docker_config}" if self._docker_config else ""
            return StalledError(
                "RegistryDenied",
                f"{subject} refused with {answer.status}; check the credential{place}, and "
                "whether there is such a repository",
            )
        busy = answer.status == HTTPStatus.TOO_MANY_REQUESTS
        if busy or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return TransientError(
                "RegistryUnreachable",
                f"{subject} answered with {answer.status}",
                retry_after_seconds=retry_after_seconds(
                    answer.headers.get("Retry-After"), datetime.now(UTC)
                ),
            )
        return TransientError(
            "RegistryAnswer", f"{subject} answered {answer.status} with nothing of a registry's"
        )

    def _follow(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        wanted: Repository,
        bytes_max: int,
    ) -> Answer:
        mine = dict(headers)
        for _ in range(REDIRECTS_MAX + 1):
            answer = self._send(method, url, mine, wanted, bytes_max)
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            target = urljoin(url, location) if _parts(location) else ""
            if not self._may_speak_to(target):
                raise TransientError(
                    "RegistryAnswer", f"{wanted.registry} redirects to an address without https"
                )
            if _origin(target) != _origin(url):
                mine.pop("Authorization", None)
            url = target
        raise TransientError(
            "RegistryAnswer", f"{wanted.registry} redirects more than {REDIRECTS_MAX} times"
        )

    def _known_authorization(self, wanted: Repository) -> str | None:
        with self._lock:
            known = self._authorizations.get(wanted)
        return known.header if known and time.monotonic() < known.until else None

    def _authorize(self, wanted: Repository, challenges: list[Challenge]) -> str:
        """Answer the registry's question who we are."""
        credential = read_credential(self._docker_config, wanted)
        for challenge in challenges:
            if challenge.scheme == "bearer":
                header, seconds = self._fetch_token(wanted, challenge, credential)
            elif challenge.scheme == "basic" and credential:
                header, seconds = credential, AUTHORIZATION_SECONDS_MAX
            else:
                continue
            # Let go of a little early, since it is still on its way when it is sent.
            until = time.monotonic() + 0.8 * min(seconds, AUTHORIZATION_SECONDS_MAX)
            with self._lock:
                self._authorizations[wanted] = _Authorization(header, until)
            return header
        lack = f"{self._docker_config} has none" if self._docker_config else "none is configured"
        raise StalledError(
            "RegistryDenied", f"{wanted.registry} wants a credential for {wanted.name}, and {lack}"
        )

    def _fetch_token(
        self, wanted: Repository, challenge: Challenge, credential: str | None
    ) -> tuple[str, float]:
        realm = challenge.parameters.get("realm", "")
        if not self._may_speak_to(realm):
            raise StalledError(
                "RegistryDenied",
                f"{wanted.registry} sends for a token to an address without https; nothing was sent there",
            )
        query = {
            "scope": challenge.parameters.get("scope") or f"repository:{wanted.name}:pull",
            "service": challenge.parameters.get("service", ""),
        }
        headers = {"Accept": "application/json"}
        if credential:
            headers["Authorization"] = credential
        try:
            url = str(httpx2.URL(realm).copy_merge_params(query))
        except httpx2.InvalidURL as error:
            raise TransientError(
                "RegistryAnswer", f"{wanted.registry} sends for a token to no address"
            ) from error
        answer = self._send("GET", url, headers, wanted, ANSWER_BYTES_MAX)
        if not answer.is_success:
            raise self.refusal(wanted, answer)
        try:
            found = json.loads(answer.body)
            token = str(found.get("token") or found.get("access_token") or "")
            seconds = float(found.get("expires_in") or TOKEN_SECONDS)
        except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            token, seconds = "", 0.0
        if not _TOKEN.fullmatch(token):
            raise TransientError(
                "RegistryAnswer", f"the token server of {wanted.registry} gave no token"
            )
        return f"Bearer {token}", seconds

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        wanted: Repository,
        bytes_max: int,
    ) -> Answer:
        body = bytearray()
        try:
            with self._client.stream(method, url, headers=headers) as response:
                for part in response.iter_raw():
                    body += part
                    if len(body) > bytes_max:
                        raise TransientError("RegistryAnswer", f"{wanted.registry} says too much")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise TransientError(
                "RegistryUnreachable",
                f"{urlsplit(url).netloc} does not answer: {_reason(error)}",
            ) from error
        challenges = tuple(response.headers.get_list("WWW-Authenticate"))
        return Answer(response.status_code, response.headers, bytes(body), challenges)

    def _is_insecure(self, registry: str) -> bool:
        return registry in self._insecure or _is_loopback(registry)

    def _may_speak_to(self, url: str) -> bool:
        parts = _parts(url)
        if parts is None or not parts.hostname:
            return False
        return parts.scheme == "https" or (
            parts.scheme == "http" and self._is_insecure(parts.netloc)
        )


def _parts(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _is_loopback(registry: str) -> bool:
    host = urlsplit(f"//{registry}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _reason(error: Exception) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "timed out"
    return one_line(str(error), 200) or type(error).__name__
