"""Check runs at GitHub, which it gives to GitHub Apps only."""

from typing import Any

from previews.adapters.forges.answers import (
    AbsentError,
    Json,
    Request,
    malformed,
    read_own_id,
    repository_path,
    whole_number,
)
from previews.adapters.forges.github_connection import GitHubConnection
from previews.adapters.forges.github_requester import PER_PAGE
from previews.domain.feedback import Check
from previews.domain.preview import PullRequest


class GitHubChecks:
    """Implements forge_ports.Checks. Safe from any thread."""

    def __init__(self, connection: GitHubConnection) -> None:
        self._connection = connection

    def ensure_check(self, repository: str, check: Check, known_id: int | None) -> int:
        if known_id is not None:
            try:
                return self._update(repository, check, known_id)
            except AbsentError:
                # It is looked for, and made anew if there is no other.
                pass
        found = self._find(repository, check)
        if found is not None:
            return self._update(repository, check, found)
        path = repository_path(repository, "check-runs")
        body = {"head_sha": check.head_sha, **_said(check)}
        _, made = self._connection.ask("POST", path, wants=dict, body=body)
        return read_own_id(Request("POST", path), made)

    def page_of(self, pull_request: PullRequest, check_id: int) -> str:
        return f"{pull_request.url}/checks?check_run_id={check_id}"

    def _update(self, repository: str, check: Check, check_id: int) -> int:
        path = repository_path(repository, "check-runs", check_id)
        self._connection.ask("PATCH", path, wants=dict, body=_said(check))
        return check_id

    def _find(self, repository: str, check: Check) -> int | None:
        path = repository_path(repository, "commits", check.head_sha, "check-runs")
        asked = Request("GET", path)
        query = {"check_name": check.name, "per_page": PER_PAGE}
        _, document = self._connection.ask(
            "GET", path, wants=dict, parameters=query, is_feedback=True
        )
        try:
            return next(
                (
                    whole_number(each["id"])
                    for each in document["check_runs"]
                    if (each["name"], each["external_id"]) == (check.name, check.external_id)
                ),
                None,
            )
        except (KeyError, TypeError) as error:
            raise malformed(asked, f"an incomplete check run ({error!r})") from error


def _said(check: Check) -> dict[str, Json]:
    output = {"title": check.title, "summary": check.summary, "text": check.text}
    said: dict[str, Any] = {"name": check.name, "external_id": check.external_id, "output": output}
    if check.state.is_final:
        said |= {"status": "completed", "conclusion": check.state.value}
    else:
        said |= {"status": check.state.value}
    return said | ({"details_url": check.details_url} if check.details_url else {})
