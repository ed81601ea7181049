"""GitHub's JSON for what the stand-in holds, made from GitHub's own example of an opened pull request.

The example's names and addresses are replaced in its text; what a person could have typed is set afterwards, as data.
"""

import base64
import json
from datetime import datetime
from pathlib import Path
from urllib.parse import quote
from zlib import crc32

from previews.domain.preview import CIRun
from previews.domain.record import CommitStatus
from tests.fakes.forge_things import Comment, Repository, WorldPullRequest, is_bot
from tests.github.description import Json

EXAMPLE = json.loads(
    (Path(__file__).parent / "webhooks/pull_request.opened.json").read_text(encoding="utf-8")
)["pull_request"]
PULL_REQUEST = {
    name: each for name, each in EXAMPLE.items() if name not in {"base", "head", "user"}
}
"""Without what is rendered anew for each."""
EXAMPLE_API = "https://api.github.com"
EXAMPLE_REPOSITORY = "Codertocat/Hello-World"
EXAMPLE_OWNER = "Codertocat"
BASE_SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def node_id(kind: str, number: int) -> str:
    return base64.b64encode(f"0{len(kind)}:{kind}{number}".encode()).decode()


def user_id(login: str) -> int:
    """The same for the same login, as GitHub's numbers are."""
    return crc32(login.lower().encode())


class Renderer:
    """Renders for a stand-in at `api_url`."""

    def __init__(self, api_url: str) -> None:
        self.api_url = api_url
        self._users: dict[str, dict[str, Json]] = {}
        """Made once each: they are in everything."""

    def user(self, login: str) -> dict[str, Json]:
        if login not in self._users:
            self._users[login] = self._user(login)
        return self._users[login]

    def _user(self, login: str) -> dict[str, Json]:
        user = self.from_example(EXAMPLE["user"], owner=login)
        kind = "Bot" if is_bot(login) else "User"
        ids = {"id": user_id(login), "node_id": node_id(kind, user_id(login))}
        return user | ids | {"login": login, "type": kind}

    def own_user(self, login: str) -> dict[str, Json]:
        """GET /user, as a token without rights on the profile sees it."""
        nothing = dict.fromkeys(("bio", "blog", "company", "email", "hireable", "location", "name"))
        counts = dict.fromkeys(("followers", "following", "public_gists", "public_repos"), 0)
        dates = dict.fromkeys(("created_at", "updated_at"), "2019-05-15T15:19:25Z")
        return self.user(login) | nothing | counts | dates | {"user_view_type": "public"}

    def repository(self, full_name: str, repository_id: int) -> dict[str, Json]:
        owner, _, name = full_name.partition("/")
        rendered = self.from_example(EXAMPLE["base"]["repo"], owner=owner, repository=full_name)
        return rendered | {
            "id": repository_id,
            "node_id": node_id("Repository", repository_id),
            "name": name,
            "full_name": full_name,
            "owner": self.user(owner),
            "default_branch": "main",
            "has_discussions": False,
        }

    def full_repository(self, held: Repository) -> dict[str, Json]:
        return self.repository(held.name, held.id) | {"network_count": 0, "subscribers_count": 0}

    def pull_request(self, held: WorldPullRequest, repository_id: int) -> dict[str, Json]:
        owner, _, _ = held.repository.partition("/")
        rendered = self.from_example(
            PULL_REQUEST, owner=owner, repository=held.repository, number=held.number
        )
        statuses_url = f"{self.api_url}/repos/{held.repository}/statuses/{held.head_sha}"
        rendered["_links"]["statuses"]["href"] = statuses_url
        return rendered | {
            "id": held.id,
            "node_id": node_id("PullRequest", held.id),
            "statuses_url": statuses_url,
            "number": held.number,
            "state": "open" if held.is_open else "closed",
            "title": held.title,
            "body": None,
            "user": self.user(held.author),
            "draft": held.is_draft,
            "labels": [self.label(each, held.repository) for each in held.labels],
            "assignees": [],
            "requested_reviewers": [],
            "created_at": at(held.created_at),
            "updated_at": at(held.updated_at),
            "closed_at": None if held.is_open else at(held.updated_at),
            "base": {
                "label": f"{owner}:{held.base_branch}",
                "ref": held.base_branch,
                "sha": BASE_SHA,
                "user": self.user(owner),
                "repo": self.repository(held.repository, repository_id),
            },
            "head": self._head(held, repository_id),
        }

    def label(self, name: str, repository: str) -> dict[str, Json]:
        return {
            "id": user_id(name),
            "node_id": node_id("Label", user_id(name)),
            "url": f"{self.api_url}/repos/{repository}/labels/{quote(name, safe='')}",
            "name": name,
            "color": "d73a4a",
            "default": False,
            "description": "",
        }

    def _head(self, held: WorldPullRequest, repository_id: int) -> dict[str, Json]:
        name = held.head_repository
        owner = name.partition("/")[0] if name else held.author
        head_id = repository_id if name == held.repository else user_id(owner)
        return {
            "label": f"{owner}:{held.branch}",
            "ref": held.branch,
            "sha": held.head_sha,
            "user": self.user(owner),
            "repo": self.repository(name, head_id) if name else None,
        }

    def comment(self, held: Comment, repository: str) -> dict[str, Json]:
        root = f"{self.api_url}/repos/{repository}"
        page = f"https://github.com/{repository}/pull/{held.number}"
        return {
            "id": held.id,
            "node_id": node_id("IssueComment", held.id),
            "url": f"{root}/issues/comments/{held.id}",
            "html_url": f"{page}#issuecomment-{held.id}",
            "issue_url": f"{root}/issues/{held.number}",
            "user": self.user(held.author),
            "author_association": "MEMBER",
            "body": held.body,
            "created_at": at(held.created_at),
            "updated_at": at(held.updated_at),
        }

    def status(
        self, status: CommitStatus, *, repository: str, sha: str, creator: str, moment: datetime
    ) -> dict[str, Json]:
        return {
            "id": user_id(f"{sha}{status.context}"),
            "node_id": node_id("StatusContext", user_id(sha)),
            "url": f"{self.api_url}/repos/{repository}/statuses/{sha}",
            "avatar_url": None,
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url or None,
            "context": status.context,
            "created_at": at(moment),
            "updated_at": at(moment),
            "creator": self.user(creator),
        }

    def workflow_run(self, run: CIRun, held: Repository, head_sha: str) -> dict[str, Json]:
        run_id = user_id(f"{held.name}{head_sha}{run.name}")
        url = f"{self.api_url}/repos/{held.name}/actions/runs/{run_id}"
        parts = ("jobs", "logs", "cancel", "rerun", "artifacts", "check_suite", "workflow")
        repository = self.repository(held.name, held.id)
        return (
            self.progress(run)
            | {f"{part}_url": f"{url}/{part}" for part in parts}
            | {
                "id": run_id,
                "node_id": node_id("WorkflowRun", run_id),
                "name": run.name,
                "display_title": "A change",
                "path": ".github/workflows/build.yml",
                "workflow_id": user_id(run.name),
                "run_number": 1,
                "event": "pull_request",
                "head_branch": "feature",
                "head_sha": head_sha,
                "head_commit": None,
                "head_repository": repository,
                "repository": repository,
                "url": url,
                "html_url": run.url,
                "created_at": "2019-05-15T15:19:25Z",
                "updated_at": "2019-05-15T15:20:25Z",
                "pull_requests": [],
            }
        )

    def check_run(self, run: CIRun, held: Repository, head_sha: str) -> dict[str, Json]:
        run_id = user_id(f"{held.name}{head_sha}{run.name}")
        url = f"{self.api_url}/repos/{held.name}/check-runs/{run_id}"
        output = dict.fromkeys(("title", "summary", "text"))
        ended = "2019-05-15T15:20:25Z" if self.progress(run)["conclusion"] else None
        return self.progress(run) | {
            "id": run_id,
            "node_id": node_id("CheckRun", run_id),
            "head_sha": head_sha,
            "external_id": "",
            "name": run.name,
            "url": url,
            "html_url": run.url,
            "details_url": run.url,
            "started_at": "2019-05-15T15:19:25Z",
            "completed_at": ended,
            "output": output | {"annotations_count": 0, "annotations_url": f"{url}/annotations"},
            "check_suite": {"id": 5},
            "app": None,
            "pull_requests": [],
        }

    def progress(self, run: CIRun) -> dict[str, Json]:
        conclusions = {"succeeded": "success", "failed": "failure", "cancelled": "cancelled"}
        conclusion = conclusions.get(run.state)
        under_way = "queued" if run.state == "queued" else "in_progress"
        return {"status": "completed" if conclusion else under_way, "conclusion": conclusion}

    def from_example(
        self, example: Json, *, owner: str, repository: str = "", number: int = 0
    ) -> dict[str, Json]:
        text = json.dumps(example).replace(EXAMPLE_API, self.api_url)
        text = text.replace(EXAMPLE_REPOSITORY, repository).replace(EXAMPLE_OWNER, owner)
        for place in ("/pulls", "/issues", "/pull"):
            text = text.replace(f"{place}/2", f"{place}/{number}")
        rendered: dict[str, Json] = json.loads(text)
        return rendered
