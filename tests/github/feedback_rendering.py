"""GitHub's JSON for comments, checks, deployments and deliveries, for the API and for webhooks."""

import json
from pathlib import Path
from typing import Any

from tests.fakes.forge_things import (
    Comment,
    DeploymentStatus,
    HeldCheck,
    HeldDeployment,
    Repository,
    WorldPullRequest,
)
from tests.github.description import Json
from tests.github.rendering import Renderer, at, node_id, user_id

WEBHOOKS = Path(__file__).parent / "webhooks"
ISSUE: dict[str, Json] = json.loads(
    (WEBHOOKS / "issue_comment.created.json").read_text(encoding="utf-8")
)["issue"]
CHECK_RUN = json.loads((WEBHOOKS / "check_run.rerequested.json").read_text(encoding="utf-8"))[
    "check_run"
]
NO_REACTIONS = dict.fromkeys(
    ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes", "total_count"), 0
)


class FeedbackRenderer(Renderer):
    """Renders for a stand-in at `api_url`."""

    def issue(self, held: WorldPullRequest) -> dict[str, Json]:
        """A pull request, as events about comments have it."""
        page = f"https://github.com/{held.repository}/pull/{held.number}"
        root = f"{self.api_url}/repos/{held.repository}"
        url = f"{root}/issues/{held.number}"
        parts = {f"{part}_url": f"{url}/{part}" for part in ("comments", "events")}
        pull = {"url": f"{root}/pulls/{held.number}", "html_url": page}
        diffs = {"diff_url": f"{page}.diff", "patch_url": f"{page}.patch", "merged_at": None}
        return (
            ISSUE
            | parts
            | {
                "url": url,
                "repository_url": root,
                "labels_url": f"{url}/labels{{/name}}",
                "html_url": page,
                "id": held.id,
                "node_id": node_id("PullRequest", held.id),
                "number": held.number,
                "title": held.title,
                "user": self.user(held.author),
                "labels": [self.label(each, held.repository) for each in held.labels],
                "state": "open" if held.is_open else "closed",
                "draft": held.is_draft,
                "assignee": None,
                "assignees": [],
                "milestone": None,
                "body": None,
                "created_at": at(held.created_at),
                "updated_at": at(held.updated_at),
                "closed_at": None if held.is_open else at(held.updated_at),
                "pull_request": pull | diffs,
                "reactions": {"url": f"{url}/reactions", **NO_REACTIONS},
            }
        )

    def hooked_comment(self, held: Comment, repository: str) -> dict[str, Json]:
        """A comment, as events about it have it."""
        rendered = self.comment(held, repository)
        reactions = {"url": f"{rendered['url']}/reactions", **NO_REACTIONS}
        return rendered | {"performed_via_github_app": None, "reactions": reactions}

    def reaction(self, content: str, login: str, comment_id: int) -> dict[str, Json]:
        reaction_id = user_id(f"{login}{content}{comment_id}")
        return {
            "id": reaction_id,
            "node_id": node_id("Reaction", reaction_id),
            "user": self.user(login),
            "content": content,
            "created_at": "2019-05-15T15:19:25Z",
        }

    def changed_file(self, changed: dict[str, str], repository: str) -> dict[str, Json]:
        path = changed["filename"]
        counts = dict.fromkeys(("additions", "deletions", "changes"), 1)
        return {
            **changed,
            **counts,
            "blob_url": f"https://github.com/{repository}/blob/main/{path}",
            "raw_url": f"https://github.com/{repository}/raw/main/{path}",
            "contents_url": f"{self.api_url}/repos/{repository}/contents/{path}",
        }

    def own_check_run(self, held: HeldCheck, repository: Repository) -> dict[str, Json]:
        """A check run that the manager made."""
        check = held.check
        url = f"{self.api_url}/repos/{repository.name}/check-runs/{held.id}"
        output: dict[str, Any] = {
            "title": check.title or None,
            "summary": check.summary or None,
            "text": check.text or None,
            "annotations_count": 0,
            "annotations_url": f"{url}/annotations",
        }
        is_final = check.state.is_final
        return {
            "id": held.id,
            "node_id": node_id("CheckRun", held.id),
            "name": check.name,
            "head_sha": check.head_sha,
            "external_id": check.external_id,
            "url": url,
            "html_url": f"https://github.com/{repository.name}/runs/{held.id}",
            "details_url": check.details_url or "https://github.com",
            "status": "completed" if is_final else check.state.value,
            "conclusion": check.state.value if is_final else None,
            "started_at": at(held.updated_at),
            "completed_at": at(held.updated_at) if is_final else None,
            "output": output,
            "check_suite": {"id": 5},
            "app": None,
            "pull_requests": [],
        }

    def hooked_check_run(self, held: HeldCheck, repository: Repository) -> dict[str, Json]:
        """A check run, as events about it have it: with the App and the suite of GitHub's example."""
        # The example is older than GitHub's schema, which asks for more of an App, and for its dates in another form.
        moments = dict.fromkeys(("created_at", "updated_at"), at(held.updated_at))
        rights: dict[str, Json] = {"permissions": {"checks": "write"}, "events": ["check_run"]}
        app = CHECK_RUN["app"] | moments | rights
        suite = CHECK_RUN["check_suite"] | {"head_sha": held.check.head_sha, "app": app}
        return self.own_check_run(held, repository) | {"app": app, "check_suite": suite}

    def deployment(self, held: HeldDeployment, repository: str) -> dict[str, Json]:
        root = f"{self.api_url}/repos/{repository}"
        url = f"{root}/deployments/{held.id}"
        return {
            "id": held.id,
            "node_id": node_id("Deployment", held.id),
            "url": url,
            "sha": held.head_sha,
            "ref": held.head_sha,
            "task": held.task,
            "payload": {},
            "original_environment": held.environment,
            "environment": held.environment,
            "description": held.description,
            "creator": self.user(held.creator),
            "created_at": at(held.created_at),
            "updated_at": at(held.created_at),
            "statuses_url": f"{url}/statuses",
            "repository_url": root,
            "transient_environment": True,
            "production_environment": False,
        }

    def deployment_status(
        self, said: DeploymentStatus, held: HeldDeployment, repository: str
    ) -> dict[str, Json]:
        root = f"{self.api_url}/repos/{repository}"
        url = f"{root}/deployments/{held.id}"
        return {
            "id": said.id,
            "node_id": node_id("DeploymentStatus", said.id),
            "url": f"{url}/statuses/{said.id}",
            "state": said.state,
            "creator": self.user(held.creator),
            "description": said.description,
            "environment": held.environment,
            "target_url": said.log_url,
            "log_url": said.log_url,
            "environment_url": said.environment_url,
            "created_at": at(said.created_at),
            "updated_at": at(said.created_at),
            "deployment_url": url,
            "repository_url": root,
        }
