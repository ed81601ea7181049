"""Speaks to a running manager through its API. Whatever it does is done by the manager, and is in its history."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from previews.domain.preview import PreviewKey
from previews.errors import ActionRefusedError, StalledError, TransientError
from previews.web.sweep_views import BrakeView, SweepView
from previews.web.views import (
    PAGE_LENGTH_MAX,
    History,
    Keys,
    PreviewPage,
    PreviewView,
    Refusal,
)

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 120.0
"""A sweep of a large installation takes the longest."""

_View = TypeVar("_View", bound=BaseModel)


class Client:
    """One manager. Raises ActionRefusedError, TransientError or StalledError, whose messages name the address."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._http = httpx2.Client(
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
        )

    def list_previews(
        self, *, project: str | None = None, phase: str | None = None
    ) -> list[PreviewView]:
        """Every preview, from all pages."""
        found: list[PreviewView] = []
        chosen = {"project": project, "phase": phase, "limit": str(PAGE_LENGTH_MAX)}
        query = {name: value for name, value in chosen.items() if value is not None}
        while True:
            page = self._get("/previews", PreviewPage, query)
            found += page.previews
            if page.next_cursor is None:
                return found
            query["cursor"] = page.next_cursor

    def show(self, key: PreviewKey) -> PreviewView:
        return self._get(_path(key), PreviewView)

    def history(self, key: PreviewKey) -> History:
        return self._get(f"{_path(key)}/history", History)

    def ask(self, key: PreviewKey, verb: str, *, actor: str, length: str | None = None) -> None:
        """Have something done to one preview; `length` is of time, such as 24h."""
        body = {"actor": actor} if length is None else {"actor": actor, "for": length}
        self._post(f"{_path(key)}/{verb}", PreviewView, body)

    def approve(self, key: PreviewKey, head_sha: str, *, actor: str) -> PreviewView:
        body = {"actor": actor, "head_sha": head_sha}
        return self._post(f"{_path(key)}/approve", PreviewView, body)

    def remove_all(self, *, actor: str) -> list[PreviewKey]:
        return self._keys("/previews/remove-all", {"actor": actor})

    def drain(self, project: str, *, actor: str) -> list[PreviewKey]:
        return self._keys(f"/projects/{quote(project, safe='')}/drain", {"actor": actor})

    def brake(self) -> BrakeView:
        return self._get("/brake", BrakeView)

    def confirm(self, previews: Iterable[str], *, actor: str) -> list[PreviewKey]:
        """Let the removals of these go on, and of no others. Says which of them were held."""
        return self._keys("/brake/confirm", {"actor": actor, "previews": list(previews)})

    def collect(self, *, dry_run: bool, confirmed: bool, actor: str) -> SweepView:
        body = {"actor": actor, "dry_run": dry_run, "confirmed": confirmed}
        return self._post("/collect", SweepView, body)

    def _keys(self, path: str, body: Mapping[str, object]) -> list[PreviewKey]:
        return [PreviewKey.parse(text) for text in self._post(path, Keys, body).previews]

    def _get(self, path: str, view: type[_View], query: Mapping[str, str] | None = None) -> _View:
        return self._request("GET", path, view, params=query)

    def _post(self, path: str, view: type[_View], body: Mapping[str, object]) -> _View:
        return self._request("POST", path, view, json=body)

    def _request(self, method: str, path: str, view: type[_View], **more: Any) -> _View:  # noqa: ANN401 - httpx2's own
        try:
            answer = self._http.request(method, f"{self._url}/api/v1{path}", **more)
        except httpx2.InvalidURL as error:
            raise StalledError("ManagerUnreachable", f"{self._url}: {error}") from error
        except httpx2.TransportError as error:
            raise TransientError(
                "ManagerUnreachable",
                f"the manager does not answer at {self._url}: {str(error) or type(error).__name__}",
            ) from error
        if not answer.is_success:
            self._refuse(answer)
        try:
            return view.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._not_a_manager(answer) from error

    def _refuse(self, answer: httpx2.Response) -> None:
        """Raise what an answer that is no success says."""
        try:
            refusal = Refusal.model_validate_json(answer.content)
        except ValidationError as error:
            if answer.is_server_error:
                # An ingress says so for a manager that restarts.
                raise TransientError(
                    "ManagerUnreachable",
                    f"the manager does not answer at {self._url}: {answer.status_code}",
                ) from error
            raise self._not_a_manager(answer) from error
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            raise StalledError("TokenRefused", f"the manager at {self._url} refuses this token")
        if refusal.reason == "NotFound":
            raise StalledError(
                "NoAPI",
                f"the manager at {self._url} has no API like this one: is server.api_token_file "
                "configured, and is it of the same version?",
            )
        if answer.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
            raise TransientError(refusal.reason, refusal.message)
        raise ActionRefusedError(refusal.reason, refusal.message)

    def _not_a_manager(self, answer: httpx2.Response) -> StalledError:
        return StalledError(
            "NotAManager",
            f"{self._url} answers {answer.status_code}, but not as a manager of previews of this "
            "version does",
        )


def _path(key: PreviewKey) -> str:
    return f"/previews/{quote(key.project, safe='')}/{key.number}"
