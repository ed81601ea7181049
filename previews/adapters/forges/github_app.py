"""A GitHub App's credentials: what it signs for itself, and a token for each repository that reaches nothing else.

A repository where the App is suspended, or not installed any more, has no token and so no answer: nothing there is
known to be gone, and nothing is removed.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from github.Auth import AppAuth
from jwt import PyJWTError

from previews.adapters.forges.answers import (
    SUSPENDED_WAIT_SECONDS,
    AbsentError,
    Headers,
    Json,
    Request,
    forge_time,
    malformed,
    read_own_id,
    repository_path,
)
from previews.adapters.forges.github_credentials import Credential, Send
from previews.adapters.forges.github_permissions import granted_of, lacking
from previews.errors import StalledError, TransientError

ACCOUNT = "the App"
SIGNED_AGO_SECONDS = 60
"""GitHub's advice: what is signed in the future of its clock is refused."""
SIGNED_FOR_SECONDS = 300
"""GitHub takes up to 600, by its own clock; ours may be fast."""
CLOCK_SECONDS_MIN = 5.0
"""A clock that differs by less is not why GitHub refused what was signed."""
REFRESH_BEFORE_SECONDS = 300.0
TOKEN_SECONDS_MAX = 3600.0

_SLUG = re.compile(r"[A-Za-z0-9._-]{1,100}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,1000}")


@dataclass(frozen=True, slots=True)
class Installation:
    """Where an account lets the App work."""

    id: int
    granted: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Token:
    """Of one repository."""

    credential: Credential
    fresh_until: float
    """On the monotonic clock: a new one is asked for some minutes before GitHub stops to take it."""


class AppCredentials:
    """Implements Credentials. Safe from any thread."""

    is_app = True

    def __init__(
        self,
        *,
        app_id: str,
        private_key_file: Path,
        permissions: Mapping[str, str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`app_id` may be the client id as well. `permissions` are those that a token asks for, as far as granted."""
        self._app_id = app_id
        self._private_key_file = private_key_file
        self._permissions = permissions
        self._monotonic = monotonic
        self._ahead_seconds = 0.0
        """How far GitHub's clock is ahead of ours, once it has mattered."""
        self._lock = threading.Lock()
        self._tokens: dict[str, Token] = {}
        self._asking: dict[str, threading.Lock] = {}

    def choose(self, path: str, repository: str, send: Send) -> Credential:  # noqa: ARG002 - the repository decides
        if not repository:
            return self._sign()
        name = repository.casefold()
        with self._lock:
            asking = self._asking.setdefault(name, threading.Lock())
        # Whoever else needs this token waits for it, and asks for none of its own.
        with asking:
            with self._lock:
                token = self._tokens.get(name)
            if token is None or self._monotonic() >= token.fresh_until:
                token = self._fetch_token(repository, send)
                with self._lock:
                    self._tokens[name] = token
            return token.credential

    def refused(self, credential: Credential, headers: Headers) -> bool:
        if credential.account == ACCOUNT:
            ahead = forge_time(headers).timestamp() - time.time()
            was, self._ahead_seconds = self._ahead_seconds, ahead
            return abs(ahead - was) > CLOCK_SECONDS_MIN
        with self._lock:
            self._tokens = {
                name: token
                for name, token in self._tokens.items()
                if token.credential.secret != credential.secret
            }
        return True

    def fetch_own_id(self, repository: str, send: Send) -> int:
        """The App writes as a user of its own, `SLUG[bot]`."""
        asked, app = Request("GET", "/app"), self._fetch_app(send)
        slug = app.get("slug")
        if not isinstance(slug, str) or not _SLUG.fullmatch(slug):
            raise malformed(asked, "an App without a slug")
        path = f"/users/{quote(f'{slug}[bot]', safe='')}"
        _, user = send(self.choose(path, repository, send), "GET", path, wants=dict)
        return read_own_id(Request("GET", path), user)

    def check(self, send: Send) -> None:
        self._fetch_app(send)

    def list_lacking(self, repository: str, send: Send) -> Sequence[str]:
        granted = self._fetch_installation(repository, send).granted
        return [f"{each.title}: {each.access}" for each in lacking(granted)]

    def _fetch_app(self, send: Send) -> Json:
        return send(self._sign(), "GET", "/app", wants=dict)[1]

    def _fetch_token(self, repository: str, send: Send) -> Token:
        installation = self._fetch_installation(repository, send)
        permissions = granted_of(self._permissions, installation.granted)
        _, _, name = repository.partition("/")
        try:
            return self._create_token(
                installation, {"repositories": [name], "permissions": permissions}, send
            )
        except StalledError:
            # It may have another name by now. Its id, which a token that may do nothing finds out, stays.
            finder = self._create_token(installation, {"permissions": {"metadata": "read"}}, send)
            path = repository_path(repository)
            _, found = send(finder.credential, "GET", path, wants=dict)
            by_id = {"repository_ids": [read_own_id(Request("GET", path), found)]}
        try:
            return self._create_token(installation, by_id | {"permissions": permissions}, send)
        except StalledError as error:
            said = f"the App gets no token for {repository}: {error.message}"
            raise TransientError("ForgeForbidden", said) from error

    def _fetch_installation(self, repository: str, send: Send) -> Installation:
        path = repository_path(repository, "installation")
        try:
            _, found = send(self._sign(), "GET", path, wants=dict)
        except AbsentError as error:
            said = f"the App is not installed for {repository}, or there is no such repository"
            raise _suspended(said) from error
        if found.get("suspended_at") is not None:
            raise _suspended(f"somebody has suspended the App's installation for {repository}")
        try:
            granted = {str(name): str(access) for name, access in found["permissions"].items()}
            return Installation(read_own_id(Request("GET", path), found), granted)
        except (AttributeError, KeyError) as error:
            raise malformed(Request("GET", path), "an installation without permissions") from error

    def _create_token(
        self, installation: Installation, wanted: Mapping[str, Any], send: Send
    ) -> Token:
        path = f"/app/installations/{installation.id}/access_tokens"
        headers, created = send(self._sign(), "POST", path, wants=dict, body=wanted)
        try:
            secret, ends_at = created["token"], datetime.fromisoformat(created["expires_at"])
            seconds = (ends_at - forge_time(headers)).total_seconds()
        except (KeyError, TypeError, ValueError) as error:
            raise malformed(Request("POST", path), "a token without an end") from error
        if not isinstance(secret, str) or not _TOKEN.fullmatch(secret):
            raise malformed(Request("POST", path), "no token")
        seconds = min(seconds, TOKEN_SECONDS_MAX)
        fresh = max(seconds - REFRESH_BEFORE_SECONDS, seconds / 2)
        credential = Credential("token", secret, f"installation {installation.id}")
        return Token(credential, self._monotonic() + fresh)

    def _sign(self) -> Credential:
        """The key is read anew each time, so that another is used without a restart."""
        file = self._private_key_file
        try:
            sign = AppAuth.create_jwt_sign(file.read_text(encoding="ascii"), "RS256")
            auth = AppAuth(
                self._app_id,
                sign_func=lambda claims: sign(self._by_their_clock(claims)),
                jwt_expiry=SIGNED_FOR_SECONDS,
                jwt_issued_at=-SIGNED_AGO_SECONDS,
            )
            return Credential(auth.token_type, auth.token, ACCOUNT)
        except OSError as error:
            said = f"the App's private key cannot be read from {file}: {error.strerror}"
            raise TransientError("ForgeCredentials", said) from error
        except (PyJWTError, TypeError, ValueError) as error:
            said = f"{file} does not hold the App's private key as GitHub gives it (PEM)"
            raise TransientError("ForgeCredentials", said) from error

    def _by_their_clock(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        ahead = round(self._ahead_seconds)
        return {**claims, "iat": claims["iat"] + ahead, "exp": claims["exp"] + ahead}


def _suspended(said: str) -> TransientError:
    return TransientError("ForgeSuspended", said, retry_after_seconds=SUSPENDED_WAIT_SECONDS)
