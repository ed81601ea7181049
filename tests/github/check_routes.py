"""The stand-in's answers about what runs for commits: statuses, workflow runs and check runs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from previews.domain.feedback import Check, CheckState
from previews.domain.preview import HeadSha
from previews.domain.record import CommitStatus, StatusState
from tests.fakes.forge_things import RefusedError
from tests.github.description import Json
from tests.github.desk import Desk, Routes
from tests.github.server import Answer, Asked


def _create_status(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)
    if asked.body["state"] not in set(StatusState):
        raise RefusedError(422, "Validation Failed")
    status = CommitStatus(
        context=asked.body.get("context", "default"),
        state=StatusState(asked.body["state"]),
        description=asked.body.get("description") or "",
        target_url=web_address(asked.body, "target_url"),
    )
    desk.add_status(held.name, in_path["sha"], status)
    rendered = desk.render.status(
        status,
        repository=held.name,
        sha=in_path["sha"],
        creator=desk.login_of(asked),
        moment=datetime.now(UTC),
    )
    return Answer(201, rendered)


def _list_workflow_runs(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)
    (head_sha,) = asked.query["head_sha"]
    found = [] if desk.ci_is_elsewhere else desk.runs(held.name, head_sha)
    rendered = [desk.render.workflow_run(each, held, head_sha) for each in found]
    return Answer(200, {"total_count": len(rendered), "workflow_runs": rendered})


def _list_check_runs(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    held, head_sha = desk.named(in_path), in_path["ref"]
    if head_sha not in held.commits:
        raise RefusedError(422, f"No commit found for SHA: {head_sha}")
    ours = reversed(desk.check_runs(held.name, head_sha))
    found = desk.runs(held.name, head_sha) if desk.ci_is_elsewhere else []
    rendered = [desk.render.own_check_run(each, held) for each in ours]
    rendered += [desk.render.check_run(each, held, head_sha) for each in found]
    names = asked.query.get("check_name")
    wanted = [each for each in rendered if names is None or each["name"] in names]
    return Answer(200, {"total_count": len(wanted), "check_runs": wanted})


def _create_check_run(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    _must_be_app(desk, asked)
    held = desk.named(in_path)
    blank = Check(
        name=asked.body["name"],
        external_id="",
        head_sha=HeadSha(asked.body["head_sha"]),
        state=CheckState.QUEUED,
        title="",
        summary="",
        text="",
        details_url="",
    )
    made = desk.put_check(held.name, _said(asked.body, blank))
    return Answer(201, desk.render.own_check_run(made, held))


def _update_check_run(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    _must_be_app(desk, asked)
    held = desk.named(in_path)
    check_id = int(in_path["check_run_id"])
    if check_id not in held.checks:
        raise RefusedError(404, "Not Found")
    check = _said(asked.body, held.checks[check_id].check)
    return Answer(200, desk.render.own_check_run(desk.put_check(held.name, check, check_id), held))


def _said(body: Json, before: Check) -> Check:
    """What a check run says after a request: what it does not name stays."""
    output = body.get("output", {})
    state = body.get("conclusion") or body.get("status") or before.state
    if state not in set(CheckState):
        raise RefusedError(422, f"Invalid request: {state} says nothing of how it ended")
    return Check(
        name=body.get("name", before.name),
        external_id=body.get("external_id", before.external_id),
        head_sha=before.head_sha,
        state=CheckState(state),
        title=output.get("title", before.title),
        summary=output.get("summary", before.summary),
        text=output.get("text", before.text),
        details_url=web_address(body, "details_url") or before.details_url,
    )


def _must_be_app(desk: Desk, asked: Asked) -> None:
    if not desk.is_app(asked):
        raise RefusedError(403, "You must authenticate via a GitHub App.")


def web_address(body: Json, name: str) -> str:
    """A link in a request; empty if there is none. GitHub takes no `javascript:`."""
    url: str = body.get(name) or ""
    if url and not url.startswith(("https://", "http://")):
        raise RefusedError(422, f"{name} must use http(s) scheme")
    return url


ROUTES: Routes = MappingProxyType(
    {
        ("POST", "/repos/{owner}/{repo}/statuses/{sha}"): _create_status,
        ("GET", "/repos/{owner}/{repo}/actions/runs"): _list_workflow_runs,
        ("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs"): _list_check_runs,
        ("POST", "/repos/{owner}/{repo}/check-runs"): _create_check_run,
        ("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}"): _update_check_run,
    }
)
