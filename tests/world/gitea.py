"""The forge as people and its administrator see it: the tests' own eyes and hands at Gitea."""

import base64
import secrets
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx2

from tests.cluster import RunningCluster

NOT_FOUND = 404
PAGE_LENGTH_MAX = 50

Json: TypeAlias = Any
"""What Gitea says, of any shape."""
Object = dict[str, Json]


@dataclass(frozen=True, slots=True)
class OpenedPullRequest:
    """A pull request as it was opened."""

    repository: str
    number: int
    branch: str
    url: str


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a token, or two."""

    name: str
    password: str


class Gitea:
    """Gitea's API with an administrator's token. Repositories are written `owner/name`."""

    def __init__(self, cluster: RunningCluster) -> None:
        self.url = cluster.gitea_url
        self._client = httpx2.Client(
            base_url=f"{cluster.gitea_url}/api/v1",
            headers={"authorization": f"token {cluster.gitea_admin_token}"},
            trust_env=False,
            timeout=30,
        )

    def close(self) -> None:
        self._client.close()

    def create_organisation(self, name: str) -> None:
        self._ask("POST", "/orgs", json={"username": name, "visibility": "public"})

    def delete_organisation(self, name: str) -> None:
        """With all that is in it; nothing happens if there is none."""
        while repositories := self._find(f"/orgs/{name}/repos"):
            for repository in repositories:
                self._ask("DELETE", f"/repos/{repository['full_name']}")
        if self._find(f"/orgs/{name}"):
            self._ask("DELETE", f"/orgs/{name}")

    def create_repository(self, organisation: str, name: str, *, private: bool) -> str:
        """An empty one. Returns the address that git uses."""
        made = self._ask(
            "POST",
            f"/orgs/{organisation}/repos",
            json={"name": name, "private": private, "default_branch": "main"},
        )
        address: str = made["clone_url"]
        return address

    def create_user(self, name: str) -> User:
        user = User(name, secrets.token_hex(16))
        self._ask(
            "POST",
            "/admin/users",
            json={
                "username": name,
                "email": f"{name}@example.com",
                "password": user.password,
                "must_change_password": False,
            },
        )
        return user

    def delete_user(self, name: str) -> None:
        if self._find(f"/users/{name}"):
            self._ask("DELETE", f"/admin/users/{name}", params={"purge": "true"})

    def create_token(self, user: User, name: str, *scopes: str) -> str:
        """A token that may do what these scopes say, such as `write:repository`, and no more."""
        basic = base64.b64encode(f"{user.name}:{user.password}".encode()).decode()
        made = self._ask(
            "POST",
            f"/users/{user.name}/tokens",
            json={"name": name, "scopes": list(scopes)},
            headers={"authorization": f"Basic {basic}"},
        )
        token: str = made["sha1"]
        return token

    def add_collaborator(self, repository: str, user: User, permission: str) -> None:
        """`read`, `write` or `admin`."""
        self._ask(
            "PUT",
            f"/repos/{repository}/collaborators/{user.name}",
            json={"permission": permission},
        )

    def create_webhook(self, repository: str, url: str, secret: str) -> None:
        """Pull requests and what is said on them, as the documentation tells people to do it."""
        self._ask(
            "POST",
            f"/repos/{repository}/hooks",
            json={
                "type": "gitea",
                "active": True,
                "events": [
                    "pull_request",
                    "pull_request_sync",
                    "push",
                    "pull_request_label",
                    "pull_request_comment",
                ],
                "config": {"url": url, "content_type": "json", "secret": secret},
            },
        )

    def open_pull_request(
        self, repository: str, branch: str, title: str, text: str = ""
    ) -> OpenedPullRequest:
        opened = self._ask(
            "POST",
            f"/repos/{repository}/pulls",
            json={"head": branch, "base": "main", "title": title, "body": text},
        )
        return OpenedPullRequest(repository, opened["number"], branch, opened["html_url"])

    def set_open(self, opened: OpenedPullRequest, *, is_open: bool) -> None:
        """Close or reopen."""
        self._ask(
            "PATCH",
            f"/repos/{opened.repository}/pulls/{opened.number}",
            json={"state": "open" if is_open else "closed"},
        )

    def open_pull_requests(self, repository: str) -> list[Object]:
        return self._list(f"/repos/{repository}/pulls", state="open")

    def is_open(self, opened: OpenedPullRequest) -> bool:
        found = self._ask("GET", f"/repos/{opened.repository}/pulls/{opened.number}")
        return bool(found["state"] == "open")

    def statuses(self, repository: str, head_sha: str) -> list[Object]:
        """Every status that was ever put on a commit, the newest first."""
        found = self._list(f"/repos/{repository}/commits/{head_sha}/statuses")
        return sorted(found, key=lambda status: int(status["id"]), reverse=True)

    def comment(self, opened: OpenedPullRequest, body: str) -> None:
        """As the administrator, who may do anything."""
        self._ask(
            "POST",
            f"/repos/{opened.repository}/issues/{opened.number}/comments",
            json={"body": body},
        )

    def comments(self, opened: OpenedPullRequest) -> list[Object]:
        return self._list(f"/repos/{opened.repository}/issues/{opened.number}/comments")

    def commits(self, repository: str, *, limit: int = PAGE_LENGTH_MAX) -> list[Object]:
        """What main consists of, the newest first."""
        return self._list(f"/repos/{repository}/commits", sha="main", stat="false", limit=limit)

    def files(self, repository: str, folder: str) -> list[str]:
        """The paths of all files below a folder of main."""
        tree = self._find(f"/repos/{repository}/git/trees/main?recursive=true&per_page=10000")
        entries = tree["tree"] if tree else []
        blobs = [entry["path"] for entry in entries if entry["type"] == "blob"]
        return [path for path in blobs if path.startswith(f"{folder}/")]

    def file(self, repository: str, path: str) -> str | None:
        """A file's text on main, or None if there is none."""
        found = self._find(f"/repos/{repository}/contents/{path}?ref=main")
        return base64.b64decode(found["content"]).decode() if found else None

    def _list(self, path: str, **parameters: str | int) -> list[Object]:
        found: list[Object] = self._ask(
            "GET", path, params={"limit": PAGE_LENGTH_MAX, **parameters}
        )
        return found

    def _find(self, path: str) -> Json:
        answer = self._client.get(path)
        return None if answer.status_code == NOT_FOUND else _content(answer)

    def _ask(self, method: str, path: str, **request: Json) -> Json:
        return _content(self._client.request(method, path, **request))


def _content(answer: httpx2.Response) -> Json:
    if answer.is_error:
        raise RuntimeError(f"Gitea: {answer.request.method} {answer.url}: {answer.text[:500]}")
    return answer.json() if answer.content else None
