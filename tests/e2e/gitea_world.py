"""People at the real Gitea, as the stories of the forge contract need them: ForgeWorld's doings at a real forge."""

import base64
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import quote

import httpx2

from previews.domain.conversation import Permission
from previews.domain.preview import CIRun, HeadSha, parse_head_sha
from previews.domain.record import CommitStatus, StatusState
from tests.cluster import RunningCluster
from tests.fakes.forge_things import Said
from tests.integration.scripted_http import Asked, Reply, ScriptedServer
from tests.world.checkout import Checkout
from tests.world.gitea import Gitea, User

Json: TypeAlias = Any
TOKEN_SCOPES = ("write:repository", "write:issue", "read:user")
"""What docs/forges.md tells people to give the manager's token."""
TEAMS_SCOPE = "read:organization"
"""And where the rights of teams are to count."""
DRAFT_PREFIX = "WIP: "
"""One of those by which Gitea knows a draft, unless its administrator sets others."""

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
        self._others: dict[str, User] = {}
        self.token = self.token_with(*TOKEN_SCOPES)
        self._repositories = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove everybody and everything."""
        self._gitea.delete_organisation(self._organisation)
        for user in (self._developer, self._bot, *self._others.values()):
            self._gitea.delete_user(user.name)
        self._gitea.close()
        self._client.close()

    def add_repository(self) -> str:
        """A new one with a first commit, that the developer may write to and the manager administers."""
        self._repositories += 1
        name = f"shop-{self._repositories}"
        self._gitea.create_repository(self._organisation, name, private=True)
        self.repository = f"{self._organisation}/{name}"
        self._commit("README.md", branch="main")
        self._gitea.add_collaborator(self.repository, self._developer, "write")
        self._gitea.add_collaborator(self.repository, self._bot, "admin")
        self._branches: dict[int, tuple[str, str]] = {}
        self._fork_of = ""
        return self.repository

    @property
    def manager(self) -> str:
        """The login of the manager's user."""
        return self._bot.name

    def token_with(self, *scopes: str) -> str:
        """Another token of the manager's user."""
        return self._gitea.create_token(self._bot, secrets.token_hex(4), *scopes)

    def let_the_manager_only(self, permission: Literal["read", "write"]) -> None:
        self._gitea.add_collaborator(self.repository, self._bot, permission)

    def open_by_a_reader(self, directory: Path) -> int:
        """Somebody who may only read pushes to `refs/for/main/...`, as Gitea lets him. Comes back with the number."""
        reader = self._person(f"{self.author}-reads")
        self._gitea.add_collaborator(self.repository, reader, "read")
        token = self._gitea.create_token(reader, secrets.token_hex(4), "write:repository")
        url = f"{self.url}/{self.repository}.git"
        checkout = Checkout(directory, url, user=reader.name, token=token)
        checkout.git("fetch", "--quiet", "origin", "main")
        checkout.git("checkout", "--quiet", "-b", "mine", "origin/main")
        checkout.git("commit", "--quiet", "--allow-empty", "--message", "A change")
        checkout.git("push", "--quiet", "-o", "title=Mine", "origin", "HEAD:refs/for/main/mine")
        [opened] = self._gitea.open_pull_requests(self.repository)
        number: int = opened["number"]
        return number

    def open_pull_request(
        self,
        repository: str,
        branch: str = "feature",
        title: str = "A change",
        *,
        from_fork: bool = False,
        is_draft: bool = False,
        base_branch: str = "main",
        files: Mapping[str, str | None] | None = None,
    ) -> int:
        source = self._fork(repository) if from_fork else repository
        # Two pull requests of one branch are refused, and a branch without a commit as well.
        branch = f"{branch}-{len(self._branches)}" if self._branches else branch
        new = {f"{branch}.txt": ""} if files is None else files
        self._change(new, source, base_branch, new_branch=branch)
        head = f"{source.partition('/')[0]}:{branch}" if from_fork else branch
        opened = self._ask(
            "POST",
            f"/repos/{repository}/pulls",
            {
                "head": head,
                "base": base_branch,
                "title": f"{DRAFT_PREFIX if is_draft else ''}{title}",
            },
            by=self.author,
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

    def retarget(self, repository: str, number: int, base_branch: str) -> None:
        self._ask("PATCH", f"/repos/{repository}/pulls/{number}", {"base": base_branch})

    def set_draft(self, repository: str, number: int, *, is_draft: bool) -> None:
        """As people do it at Gitea: by the title."""
        pull_request = self._ask("GET", f"/repos/{repository}/pulls/{number}")
        title = pull_request["title"].removeprefix(DRAFT_PREFIX)
        self.edit(repository, number, title=f"{DRAFT_PREFIX if is_draft else ''}{title}")

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

    def write_file(
        self, repository: str, path: str, content: str | bytes | None, *, branch: str = "main"
    ) -> None:
        """Somebody commits to a branch that is no pull request's, and makes it if there is none."""
        branches = self._ask("GET", f"/repos/{repository}/branches")
        if branch in {each["name"] for each in branches}:
            self._change({path: content}, repository, branch)
        else:
            self._change({path: content}, repository, "main", new_branch=branch)

    def delete_branch(self, repository: str, branch: str) -> None:
        self._ask("DELETE", f"/repos/{repository}/branches/{branch}")

    def comment(self, repository: str, number: int, body: str, *, author: str = "") -> int:
        """Somebody else than the developer must have been given a permission first."""
        path = f"/repos/{repository}/issues/{number}/comments"
        return int(self._ask("POST", path, {"body": body}, by=author or self.author)["id"])

    def edit_comment(self, comment_id: int, body: str) -> None:
        path = f"/repos/{self.repository}/issues/comments/{comment_id}"
        self._ask("PATCH", path, {"body": body})

    def reactions(self, repository: str, comment_id: int) -> list[str]:
        """What there is of the manager's on a comment."""
        path = f"/repos/{repository}/issues/comments/{comment_id}/reactions"
        found = self._ask("GET", path) or ()
        return [each["content"] for each in found if each["user"]["login"] == self._bot.name]

    def set_permission(self, repository: str, login: str, permission: Permission) -> None:
        """What a person may do from now on, as a collaborator."""
        person = self._person(login)
        if permission is Permission.NONE:
            self._ask("DELETE", f"/repos/{repository}/collaborators/{login}")
        else:
            self._gitea.add_collaborator(repository, person, permission.value)

    def add_team(self, repository: str, unit: str) -> int:
        """A new team that may write to this part of a repository. Returns its id."""
        said = {
            "name": f"team-{secrets.token_hex(4)}",
            "permission": "read",
            "units_map": {unit: "write"},
        }
        team = int(self._ask("POST", f"/orgs/{self._organisation}/teams", said)["id"])
        self._ask("PUT", f"/teams/{team}/repos/{repository}")
        return team

    def add_to_team(self, team: int, login: str) -> None:
        self._ask("PUT", f"/teams/{team}/members/{self._person(login).name}")

    def tag(self, repository: str, name: str) -> None:
        """A tag on the branch of the same name."""
        self._ask("POST", f"/repos/{repository}/tags", {"tag_name": name, "target": name})

    def delete_repository(self, repository: str) -> None:
        self._ask("DELETE", f"/repos/{repository}")

    def transfer(self, repository: str) -> str:
        """Into the developer's own hands. Returns its name there."""
        self._ask("POST", f"/repos/{repository}/transfer", {"new_owner": self.author})
        return f"{self.author}/{repository.partition('/')[2]}"

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

    def show(self, repository: str) -> None:
        self._gitea.add_collaborator(repository, self._bot, "admin")

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
            self._ask("POST", f"/repos/{repository}/forks", {}, by=self.author)
            self._fork_of = repository
        return f"{self.author}/{repository.partition('/')[2]}"

    def _commit(self, file: str, *, repository: str = "", **where: str) -> str:
        path = f"/repos/{repository or self.repository}/contents/{file}"
        made = self._ask("POST", path, {"content": "", "message": f"Add {file}", **where})
        return str(made["commit"]["sha"])

    def _person(self, login: str) -> User:
        """Somebody of this name, who is made if there is none yet."""
        known = {each.name: each for each in (self._developer, self._bot)} | self._others
        if login not in known:
            self._others[login] = known[login] = self._gitea.create_user(login)
        return known[login]

    def _change(
        self,
        files: Mapping[str, str | bytes | None],
        repository: str,
        branch: str,
        **where: str,
    ) -> HeadSha:
        """One commit that writes these files, and removes those that are None."""
        name = quote(branch, safe="")
        tree = self._ask("GET", f"/repos/{repository}/git/trees/{name}?recursive=true")
        known = {each["path"]: each["sha"] for each in tree["tree"]}
        changes = []
        for path, text in files.items():
            if text is None and path not in known:
                continue
            change = {"path": path, "operation": "delete" if text is None else "create"}
            if text is not None:
                content = text.encode() if isinstance(text, str) else text
                change["content"] = base64.b64encode(content).decode()
            if path in known:
                change["sha"] = known[path]
                change["operation"] = "delete" if text is None else "update"
            changes.append(change)
        if not changes:
            held = self._ask("GET", f"/repos/{repository}/branches/{name}")
            return parse_head_sha(held["commit"]["id"])
        body = {"branch": branch, "files": changes, "message": "Change files", **where}
        made = self._ask("POST", f"/repos/{repository}/contents", body)
        return parse_head_sha(made["commit"]["sha"])

    def _ask(self, verb: str, path: str, body: object = None, *, by: str = "") -> Json:
        headers = {"Sudo": by} if by else {}
        answer = self._client.request(verb, path, json=body, headers=headers)
        if answer.is_error:
            raise RuntimeError(f"Gitea: {verb} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None
