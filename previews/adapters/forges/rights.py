"""What the forge's token may do in a repository, as far as the forge tells. For `previews doctor`.

GitHub and Gitea both answer for a repository with the rights that whoever asks has there.
"""

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx2

from previews.adapters.forges.answers import (
    Request,
    read_json,
    read_token,
    repository_path,
    unreachable,
)

ROOTS = MappingProxyType({"github": "", "gitea": "/api/v1"})
"""What the API's paths begin with, by the kind of forge."""
TIMEOUT_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class RepositoryRights:
    """None: the forge does not say."""

    may_push: bool | None
    may_administer: bool | None
    is_archived: bool


def fetch_rights(repository: str, *, kind: str, api_url: str, token_file: Path) -> RepositoryRights:
    """Ask for the repository. Raises TransientError when it cannot be read with this token."""
    path = repository_path(repository)
    asked = Request("GET", path)
    headers = {
        "Accept": "application/json",
        "Authorization": f"token {read_token(token_file)}",
        "User-Agent": "previews-doctor",
    }
    try:
        # A renamed repository is answered by a redirect, which httpx2 follows without the token to another host.
        answer = httpx2.get(
            api_url.rstrip("/") + ROOTS[kind] + path,
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            follow_redirects=True,
        )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise unreachable(asked, error) from error
    document = read_json(asked, answer.status_code, answer.headers, answer.content, wants=dict)
    permissions = document.get("permissions")
    may = permissions if isinstance(permissions, dict) else {}
    pushes, administers = may.get("push"), may.get("admin")
    return RepositoryRights(
        may_push=pushes if isinstance(pushes, bool) else None,
        may_administer=administers if isinstance(administers, bool) else None,
        is_archived=document.get("archived") is True,
    )
