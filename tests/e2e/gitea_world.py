"""People at the real Gitea, as the stories of the forge contract need them: ForgeWorld's doings at a real forge."""

import base64
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self, TypeAlias

import httpx2

from previews.domain.preview import CIRun, HeadSha, parse_head_sha
from previews.domain.record import CommitStatus, StatusState
from tests.cluster import RunningCluster
from tests.fakes.forge_world import Said
from tests.integration.scripted_http import Asked, Reply, ScriptedServer
from tests.world.gitea import Gitea

Json: TypeAlias = Any
TOKEN_SCOPES = ("write:repository", "write:issue", "read:user")
"""What docs/forges.md tells people to give the manager's token."""

PASSED_ON = ("authorization", "content-type", "accept")
GIVEN_BACK = ("content-type", "x-total-count", "location")
PAGE_LENGTH = 4
"""As if `MAX_RESPONSE_ITEMS` were set to it: filling a page of the default length, 50, takes half a minute."""


@contextmanager
def short_pages(gitea_url: str) -> Iterator[str]:
    """The address of a relay to Gitea that asks it for short pages, whatever is asked of the relay."""
    with httpx2.Client(base_url=gitea_url, trust_env=False, timeout=30) as client:

        def relay(asked: Asked, reply: Reply) -> None:
            lengths = dict.fromkeys({"limit", "per_page"} & asked.query.keys(), str(PAGE_LENGTH))
            query = dict(asked.query) | lengths
            answer = client.request(
                asked.method,
                asked.path,
                params=query,
                content=asked.body,
                headers={name: asked.headers[name] for name in PASSED_ON if name in asked.headers},
            )
            headers = {
                name.replace("-", "_"): answer.headers[name]
                for name in GIVEN_BACK
                if name in answer.headers
            }
            reply.send(answer.status_code, answer.content, **headers)

        with ScriptedServer(relay) as server:
            yield server.url


class GiteaWorld:
    """An organisation, a developer, the manager's user with a token of few rights, and private repositories."""

    repository: str
    """The newest, where all that is not told otherwise happens."""

    def __init__(self, cluster: RunningCluster) -> None:
        self.url = cluster.gitea_url
        self._gitea = Gitea(cluster)
        self._client = httpx2.Client(
            base_url=f"{cluster.gitea_url}/api/v1",
            headers={"Authorization": f"token {cluster.gitea_admin_token}"},
            timeout=30,
            trust_env=False,
        )
        suffix = secrets.token_hex(4)
        self._organisation = f"forge-{suffix}"
        self.author = f"dev-{suffix}"
        self._gitea.create_organisation(self._organisation)
        self._developer = self._gitea.create_user(self.author)
        self._bot = self._gitea.create_user(f"bot-{suffix}")
        self.token = self.token_with(*TOKEN_SCOPES)
        self._repositories = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove everybody and everything."""
        self._gitea.delete_organisation(self._organisation)
        for user in (self._developer, self._bot):
            self._gitea.delete_user(user.name)
        self._gitea.close()
        self._client.close()

    def add_repository(self) -> str:
        """A new one with a first commit, that the developer and the manager may write to."""
        self._repositories += 1
        name = f"shop-{self._repositories}"
        self._gitea.create_repository(self._organisation, name, private=True)
        self.repository = f"{self._organisation}/{name}"
        self._commit("README.md", branch="main")
        for user in (self._developer, self._bot):
            self._gitea.add_collaborator(self.repository, user, "write")
        self._branches: dict[int, tuple[str, str]] = {}
        self._fork_of = ""
        return self.repository

    def token_with(self, *scopes: str) -> str:
        """Another token of the manager's user."""
        return self._gitea.create_token(self._bot, secrets.token_hex(4), *scopes)

    def let_the_manager_only_read(self) -> None:
        self._gitea.add_collaborator(self.repository, self._bot, "read")

    def open_pull_request(
        self,
        repository: str,
        branch: str = "feature",
        title: str = "A change",
        *,
        from_fork: bool = False,
    ) -> int:
        source = self._fork(repository) if from_fork else repository
        # Two pull requests of one branch are refused, and a branch without a commit as well.
        branch = f"{branch}-{len(self._branches)}" if self._branches else branch
        self._commit(f"{branch}.txt", repository=source, new_branch=branch)
        head = f"{source.partition('/')[0]}:{branch}" if from_fork else branch
        opened = self._ask(
            "POST",
            f"/repos/{repository}/pulls",
            {"head": head, "base": "main", "title": title},
            as_author=True,
        )
        number = int(opened["number"])
        self._branches[number] = (source, branch)
        return number

    def push(
        self, repository: str, number: int, *, files: Mapping[str, str | None] | None = None
    ) -> HeadSha:
        del repository  # A fork's branch is pushed to in the fork.
        source, branch = self._branches[number]
        if files is not None:
            return self._change(files, source, branch)
        file = f"pushed-{secrets.token_hex(4)}.txt"
        return parse_head_sha(self._commit(file, repository=source, branch=branch))

    def edit(self, repository: str, number: int, *, title: str) -> None:
        self._ask("PATCH", f"/repos/{repository}/pulls/{number}", {"title": title})

    def set_labels(self, repository: str, number: int, *labels: str) -> None:
        known = {
            each["name"]: each["id"] for each in self._ask("GET", f"/repos/{repository}/labels")
        }
        for name in set(labels) - known.keys():
            made = self._ask(
                "POST", f"/repos/{repository}/labels", {"name": name, "color": "#d73a4a"}
            )
            known[name] = made["id"]
        path = f"/repos/{repository}/issues/{number}/labels"
        self._ask("PUT", path, {"labels": [known[name] for name in labels]})

    def close(self, repository: str, number: int) -> None:
        self._ask("PATCH", f"/repos/{repository}/pulls/{number}", {"state": "closed"})

    def reopen(self, repository: str, number: int) -> None:
        self._ask("PATCH", f"/repos/{repository}/pulls/{number}", {"state": "open"})

    def delete_fork(self, repository: str, number: int) -> None:
        del repository
        self._ask("DELETE", f"/repos/{self._branches[number][0]}")

    def comment(self, repository: str, number: int, body: str) -> int:
        path = f"/repos/{repository}/issues/{number}/comments"
        return int(self._ask("POST", path, {"body": body}, as_author=True)["id"])

    def delete_comment(self, comment_id: int) -> None:
        self._ask("DELETE", f"/repos/{self.repository}/issues/comments/{comment_id}")

    def rename(self, repository: str, name: str) -> None:
        self._ask("PATCH", f"/repos/{repository}", {"name": name.partition("/")[2]})

    def run_ci(self, repository: str, head_sha: str, run: CIRun) -> None:
        """As Gitea's own actions report it: a commit status for each job."""
        states = {"succeeded": "success", "failed": "failure"}
        said = {
            "context": run.name,
            "state": states.get(run.state, "pending"),
            "target_url": run.url,
        }
        self._ask("POST", f"/repos/{repository}/statuses/{head_sha}", said)

    def create_webhook(self, url: str, secret: str) -> None:
        """On the newest repository, with the events that the documentation names."""
        self._gitea.create_webhook(self.repository, url, secret)

    def hide(self, repository: str) -> None:
        self._ask("DELETE", f"/repos/{repository}/collaborators/{self._bot.name}")

    def comments(self, repository: str, number: int) -> list[Said]:
        found = self._ask("GET", f"/repos/{repository}/issues/{number}/comments")
        return [Said(each["id"], each["user"]["login"], each["body"]) for each in found]

    def statuses(self, repository: str, head_sha: str) -> list[CommitStatus]:
        return [
            CommitStatus(
                context=each["context"],
                state=StatusState(each["status"]),
                description=each["description"],
                target_url=each["target_url"],
            )
            for each in reversed(self._gitea.statuses(repository, head_sha))
        ]

    def _fork(self, repository: str) -> str:
        if self._fork_of != repository:
            self._ask("POST", f"/repos/{repository}/forks", {}, as_author=True)
            self._fork_of = repository
        return f"{self.author}/{repository.partition('/')[2]}"

    def _commit(self, file: str, *, repository: str = "", **where: str) -> str:
        path = f"/repos/{repository or self.repository}/contents/{file}"
        made = self._ask("POST", path, {"content": "", "message": f"Add {file}", **where})
        return str(made["commit"]["sha"])

    def _change(self, files: Mapping[str, str | None], repository: str, branch: str) -> HeadSha:
        """One commit that writes these files, and removes those that are None."""
        tree = self._ask("GET", f"/repos/{repository}/git/trees/{branch}?recursive=true")
        known = {each["path"]: each["sha"] for each in tree["tree"]}
        changes = []
        for path, text in files.items():
            change = {"path": path, "operation": "delete" if text is None else "create"}
            if text is not None:
                change["content"] = base64.b64encode(text.encode()).decode()
            if path in known:
                change["sha"] = known[path]
                change["operation"] = "delete" if text is None else "update"
            changes.append(change)
        body = {"branch": branch, "files": changes, "message": "Change files"}
        made = self._ask("POST", f"/repos/{repository}/contents", body)
        return parse_head_sha(made["commit"]["sha"])

    def _ask(self, verb: str, path: str, body: object = None, *, as_author: bool = False) -> Json:
        headers = {"Sudo": self.author} if as_author else {}
        answer = self._client.request(verb, path, json=body, headers=headers)
        if answer.is_error:
            raise RuntimeError(f"Gitea: {verb} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None
