"""What GitHub is asked with: a token in a file, or (github_app.py) a GitHub App."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from previews.adapters.forges.answers import Headers, Json, Request, read_own_id, read_token
from previews.errors import TransientError

ACCOUNT = "the token"


@dataclass(frozen=True, slots=True)
class Credential:
    """For the Authorization header of one request."""

    kind: str
    """`token`, or `Bearer` for what an App signs."""
    secret: str
    account: str
    """Whose limits its requests count to."""

    def __repr__(self) -> str:
        return f"Credential(account={self.account!r})"


class RefusedCredentialError(TransientError):
    """GitHub answered 401."""

    def __init__(self, message: str, credential: Credential, headers: Headers) -> None:
        super().__init__("ForgeCredentials", message)
        self.credential = credential
        self.headers = headers


class Send(Protocol):
    """One proven request with a credential; how credentials ask for others."""

    def __call__(
        self,
        credential: Credential,
        verb: str,
        url: str,
        *,
        wants: type,
        body: Mapping[str, object] | None = None,
    ) -> tuple[Headers, Json]: ...


class Credentials(Protocol):
    """Where the credential of each request comes from. Safe from any thread."""

    @property
    def is_app(self) -> bool:
        """Whether it is a GitHub App, which alone has check runs and may see its webhook's deliveries."""
        ...

    def choose(self, path: str, repository: str, send: Send) -> Credential:
        """What to ask for this path with. `repository` is empty where it is about none."""
        ...

    def refused(self, credential: Credential, headers: Headers) -> bool:
        """GitHub answered 401: whether there is another one to try, once."""
        ...

    def fetch_own_id(self, repository: str, send: Send) -> int:
        """The id of the user that our comments are from."""
        ...

    def check(self, send: Send) -> None:
        """One cheap request, to see whether any of it works."""
        ...

    def list_lacking(self, repository: str, send: Send) -> Sequence[str]:
        """Which of the permissions that an App needs nobody has granted it here, by GitHub's names for them."""
        ...


class TokenFile:
    """A fine-grained token, which may be rotated at any time."""

    is_app = False

    def __init__(self, file: Path) -> None:
        self._file = file

    def choose(self, path: str, repository: str, send: Send) -> Credential:  # noqa: ARG002 - one for all
        return Credential("token", read_token(self._file), ACCOUNT)

    def refused(self, credential: Credential, headers: Headers) -> bool:  # noqa: ARG002 - there is no other
        return False

    def fetch_own_id(self, repository: str, send: Send) -> int:
        _, user = send(self.choose("/user", repository, send), "GET", "/user", wants=dict)
        return read_own_id(Request("GET", "/user"), user)

    def check(self, send: Send) -> None:
        self.fetch_own_id("", send)

    def list_lacking(self, repository: str, send: Send) -> Sequence[str]:  # noqa: ARG002 - GitHub does not tell
        return ()
