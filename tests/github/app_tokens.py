"""The stand-in's GitHub App: its key, where it is installed, and the tokens that it was given.

A token reaches the repositories and permissions that it was asked for, and nothing else; what each endpoint needs is
what GitHub documents of it.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes.forge_things import APP_LOGIN, RefusedError, Repository
from tests.github.description import Operation
from tests.github.desk import Desk, Routes
from tests.github.rendering import Renderer, at, node_id, user_id
from tests.github.server import Answer, Asked

APP_ID = 4711
CLIENT_ID = "Iv23liStandInApp"
TOKEN_LIFETIME = timedelta(hours=1)
SIGNED_SECONDS_MAX = 600
FORBIDDEN = "Resource not accessible by integration"
EVERYTHING = {
    "metadata": "read",
    "pull_requests": "write",
    "issues": "read",
    "checks": "write",
    "deployments": "write",
    "contents": "read",
    "actions": "read",
    "administration": "write",
}
"""What an installation grants that was made with the manifest of `previews github-app create --environments`."""
NEEDS = {
    ("GET", "/users/{username}"): ("metadata", "read"),
    ("GET", "/repos/{owner}/{repo}"): ("metadata", "read"),
    ("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission"): ("metadata", "read"),
    ("GET", "/repos/{owner}/{repo}/actions/runs"): ("actions", "read"),
    ("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs"): ("checks", "read"),
    ("POST", "/repos/{owner}/{repo}/check-runs"): ("checks", "write"),
    ("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}"): ("checks", "write"),
    ("GET", "/repos/{owner}/{repo}/git/trees/{tree_sha}"): ("contents", "read"),
    ("GET", "/repos/{owner}/{repo}/git/blobs/{file_sha}"): ("contents", "read"),
    ("GET", "/repos/{owner}/{repo}/pulls"): ("pull_requests", "read"),
    ("GET", "/repos/{owner}/{repo}/pulls/{pull_number}"): ("pull_requests", "read"),
    ("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/files"): ("pull_requests", "read"),
    ("POST", "/repos/{owner}/{repo}/statuses/{sha}"): ("statuses", "write"),
    ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments"): ("pull_requests", "read"),
    ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments"): ("pull_requests", "write"),
    ("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}"): ("pull_requests", "write"),
    ("POST", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions"): (
        "pull_requests",
        "write",
    ),
    ("GET", "/repos/{owner}/{repo}/deployments"): ("deployments", "read"),
    ("POST", "/repos/{owner}/{repo}/deployments"): ("deployments", "write"),
    ("DELETE", "/repos/{owner}/{repo}/deployments/{deployment_id}"): ("deployments", "write"),
    ("POST", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses"): (
        "deployments",
        "write",
    ),
    ("DELETE", "/repos/{owner}/{repo}/environments/{environment_name}"): (
        "administration",
        "write",
    ),
}
"""The permission that GitHub documents for each endpoint in use. What is not here is for the App itself alone."""
RANKS = ("", "read", "write", "admin")


@lru_cache(maxsize=2)
def private_key(name: str = "first") -> rsa.RSAPrivateKey:  # noqa: ARG001 - one key for each name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: rsa.RSAPrivateKey) -> str:
    """As GitHub lets people download it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


@dataclass(frozen=True, slots=True)
class AppToken:
    """One that was given out."""

    value: str
    owner: str
    repository_ids: frozenset[int] | None
    """None: all that the installation reaches."""
    permissions: Mapping[str, str]
    ends_at: datetime


class StandInApp:
    """What an App may do at the stand-in, and what a test may do to it."""

    def __init__(
        self,
        render: Renderer,
        *,
        find_repository: Callable[[str], Repository | None],
        clock: Callable[[], float],
    ) -> None:
        """`find_repository` finds one by its name of today or an older one; `clock` is GitHub's."""
        self._render = render
        self._find_repository = find_repository
        self._clock = clock
        self._owners: dict[int, str] = {}
        """Of the installations that were asked for."""
        self.key = private_key()
        """Only what is signed with this is the App's."""
        self.granted: dict[str, str] = dict(EVERYTHING)
        self.events = ["check_run", "check_suite", "issue_comment", "pull_request", "workflow_run"]
        """What it is told of."""
        self.webhook_url = "https://previews.example/webhooks"
        self.suspended: set[str] = set()
        """The owners who have suspended it."""
        self.excluded: set[str] = set()
        """The repositories that it was taken out of."""
        self.tokens: list[AppToken] = []
        """All that were given out, in order."""
        self._revoked: set[str] = set()

    @property
    def private_key(self) -> str:
        return pem(self.key)

    def revoke_tokens(self) -> None:
        """Have GitHub take none of the tokens of now any more."""
        self._revoked |= {token.value for token in self.tokens}

    # What the stand-in asks of it.

    def account(self, asked: Asked) -> str:
        """Whose limits a request counts to."""
        kind, _, value = asked.headers.get("authorization", "").partition(" ")
        if kind == "Bearer":
            return "the App"
        held = self._held(value)
        return f"installation of {held.owner}" if held else "nobody"

    def check(self, asked: Asked, operation: Operation, in_path: Mapping[str, str]) -> None:
        """Whether the App may do this. Raises RefusedError as GitHub would refuse it."""
        kind, _, value = asked.headers.get("authorization", "").partition(" ")
        need = NEEDS.get((operation.method, operation.template))
        if kind == "Bearer":
            self._check_signed(value)
            if need is not None:
                raise RefusedError(401, "Bad credentials")
            return
        held = self._held(value)
        if held is None or held.value in self._revoked or held.ends_at <= self._now():
            raise RefusedError(401, "Bad credentials")
        if need is None:
            raise RefusedError(401, "A JSON web token could not be decoded")
        if held.owner in self.suspended:
            raise RefusedError(403, "This installation has been suspended")
        self._check_reach(held, in_path)
        name, access = need
        if RANKS.index(held.permissions.get(name, "")) < RANKS.index(access):
            raise RefusedError(403, FORBIDDEN)

    def routes(self) -> Routes:
        """The endpoints that are about the App, by method and template."""
        return {
            ("GET", "/app"): self._get_app,
            ("GET", "/app/hook/config"): self._get_hook,
            ("GET", "/users/{username}"): self._get_user,
            ("GET", "/repos/{owner}/{repo}/installation"): self._get_installation,
            ("POST", "/app/installations/{installation_id}/access_tokens"): self._create_token,
        }

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _held(self, value: str) -> AppToken | None:
        return next((token for token in self.tokens if token.value == value), None)

    def _check_signed(self, value: str) -> None:
        now = self._now().timestamp()
        try:
            claims = jwt.decode(
                value,
                self.key.public_key(),
                algorithms=["RS256"],
                options={
                    "require": ["iat", "exp", "iss"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError as error:
            raise RefusedError(401, "A JSON web token could not be decoded") from error
        if claims["iss"] not in {str(APP_ID), CLIENT_ID}:
            raise RefusedError(401, "Integration not found")
        if claims["iat"] > now:
            raise RefusedError(401, "'Issued at' claim ('iat') must be in the past")
        if claims["exp"] <= now:
            raise RefusedError(401, "'Expiration time' claim ('exp') must be in the future")
        if claims["exp"] > now + SIGNED_SECONDS_MAX:
            raise RefusedError(401, "'Expiration time' claim ('exp') is too far in the future")

    def _check_reach(self, held: AppToken, in_path: Mapping[str, str]) -> None:
        if "repo" not in in_path:
            return
        name = f"{in_path['owner']}/{in_path['repo']}"
        found = self._id_of(name)
        if found is None or held.owner.casefold() != in_path["owner"].casefold():
            raise RefusedError(404, "Not Found")
        if held.repository_ids is not None and found not in held.repository_ids:
            raise RefusedError(404, "Not Found")

    def _id_of(self, name: str) -> int | None:
        """Of the repository that has this name now, if the App is installed for it."""
        held = self._find_repository(name)
        if held is None or not held.visible or held.name in self.excluded:
            return None
        return held.id if held.name.casefold() == name.casefold() else None

    # The endpoints.

    def _get_app(self, _: Desk, __: Asked, ___: Mapping[str, str]) -> Answer:
        slug = APP_LOGIN.removesuffix("[bot]")
        moment = at(self._now())
        app = {
            "id": APP_ID,
            "client_id": CLIENT_ID,
            "slug": slug,
            "node_id": node_id("Integration", APP_ID),
            "owner": self._render.user("acme"),
            "name": slug,
            "description": "",
            "external_url": "https://previews.example",
            "html_url": f"https://github.com/apps/{slug}",
            "created_at": moment,
            "updated_at": moment,
            "permissions": self.granted,
            "events": self.events,
            "installations_count": 1,
        }
        return Answer(200, app)

    def _get_hook(self, _: Desk, __: Asked, ___: Mapping[str, str]) -> Answer:
        hook = {"content_type": "json", "insecure_ssl": "0", "secret": "********"}
        return Answer(200, hook | ({"url": self.webhook_url} if self.webhook_url else {}))

    def _get_user(self, _: Desk, __: Asked, in_path: Mapping[str, str]) -> Answer:
        return Answer(200, self._render.own_user(in_path["username"]))

    def _get_installation(self, _: Desk, __: Asked, in_path: Mapping[str, str]) -> Answer:
        owner = in_path["owner"]
        if self._id_of(f"{owner}/{in_path['repo']}") is None:
            raise RefusedError(404, "Not Found")
        number, moment = user_id(owner), at(self._now())
        self._owners[number] = owner
        suspended = owner in self.suspended
        installation = {
            "id": number,
            "account": self._render.user(owner),
            "repository_selection": "selected",
            "access_tokens_url": f"https://api.github.com/app/installations/{number}/access_tokens",
            "repositories_url": "https://api.github.com/installation/repositories",
            "html_url": f"https://github.com/organizations/{owner}/settings/installations/{number}",
            "app_id": APP_ID,
            "app_slug": APP_LOGIN.removesuffix("[bot]"),
            "target_id": number,
            "target_type": "Organization",
            "permissions": self.granted,
            "events": self.events,
            "created_at": moment,
            "updated_at": moment,
            "single_file_name": None,
            "suspended_by": self._render.user(owner) if suspended else None,
            "suspended_at": moment if suspended else None,
        }
        return Answer(200, installation)

    def _create_token(self, _: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
        owner = self._owners.get(int(in_path["installation_id"]))
        if owner is None:
            raise RefusedError(404, "Not Found")
        if owner in self.suspended:
            raise RefusedError(403, "This installation has been suspended")
        wanted: Mapping[str, str] = asked.body.get("permissions", self.granted)
        for name, access in wanted.items():
            if RANKS.index(self.granted.get(name, "")) < RANKS.index(access):
                words = "The permissions requested are not granted to this installation."
                raise RefusedError(422, words)
        token = AppToken(
            value=f"ghs_{secrets.token_hex(18)}",
            owner=owner,
            repository_ids=self._wanted_ids(owner, asked.body),
            permissions={**wanted, "metadata": "read"},
            ends_at=self._now().replace(microsecond=0) + TOKEN_LIFETIME,
        )
        self.tokens.append(token)
        created = {
            "token": token.value,
            "expires_at": token.ends_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "permissions": token.permissions,
            "repository_selection": "selected",
        }
        return Answer(201, created)

    def _wanted_ids(self, owner: str, wanted: Mapping[str, Any]) -> frozenset[int] | None:
        missing = (
            "There is at least one repository that does not exist or is not accessible to the "
            "parent installation."
        )
        ids = [self._id_of(f"{owner}/{name}") for name in wanted.get("repositories", ())]
        if None in ids:
            raise RefusedError(422, missing)
        found = {each for each in ids if each is not None} | set(wanted.get("repository_ids", ()))
        return frozenset(found) or None
