"""The stand-in's answers about deployments and environments."""

from collections.abc import Mapping
from types import MappingProxyType

from previews.domain.feedback import CheckState
from previews.domain.record import StatusState
from tests.fakes.forge_things import RefusedError, Repository
from tests.github.check_routes import web_address
from tests.github.desk import Desk, Routes
from tests.github.server import Answer, Asked


def _list(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)

    def is_wanted(name: str, value: str) -> bool:
        return asked.query.get(name, [value]) == [value]

    found = [
        each
        for each in reversed(desk.deployments_of(held.name))
        if is_wanted("task", each.task)
        and is_wanted("sha", each.head_sha)
        and is_wanted("ref", each.head_sha)
        and is_wanted("environment", each.environment)
    ]
    page, headers = desk.page(asked, f"/repositories/{held.id}/deployments", found)
    return Answer(200, [desk.render.deployment(each, held.name) for each in page], headers)


def _create(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)
    ref = asked.body["ref"]
    if asked.body.get("auto_merge", True):
        raise RefusedError(409, f"Conflict merging main into {ref}")
    if "required_contexts" not in asked.body and not _all_well(desk, held, ref):
        raise RefusedError(409, f"Conflict: Commit status checks failed for {ref}.")
    made = desk.deploy(
        held.name,
        creator=desk.login_of(asked),
        task=asked.body.get("task", "deploy"),
        environment=asked.body.get("environment", "production"),
        head_sha=ref,
        description=asked.body.get("description") or "",
    )
    return Answer(201, desk.render.deployment(made, held.name))


def _all_well(desk: Desk, held: Repository, head_sha: str) -> bool:
    """Whether the last of everything that was said of a commit is success."""
    statuses = {each.context: each.state for each in desk.statuses(held.name, head_sha)}
    checks = {each.check.state for each in desk.check_runs(held.name, head_sha)}
    return {*statuses.values()} <= {StatusState.SUCCESS} and checks <= {CheckState.SUCCESS}


def _delete(desk: Desk, _: Asked, in_path: Mapping[str, str]) -> Answer:
    desk.remove_deployment_of(desk.named(in_path).name, int(in_path["deployment_id"]))
    return Answer(204, None)


def _create_status(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)
    deployment_id = int(in_path["deployment_id"])
    said = desk.say_of_deployment(
        held.name,
        deployment_id,
        asked.body["state"],
        description=asked.body.get("description", ""),
        environment_url=web_address(asked.body, "environment_url"),
        log_url=web_address(asked.body, "log_url"),
    )
    about = desk.deployment(held.name, deployment_id)
    return Answer(201, desk.render.deployment_status(said, about, held.name))


def _delete_environment(desk: Desk, _: Asked, in_path: Mapping[str, str]) -> Answer:
    desk.remove_environment_of(desk.named(in_path).name, in_path["environment_name"])
    return Answer(204, None)


ROUTES: Routes = MappingProxyType(
    {
        ("GET", "/repos/{owner}/{repo}/deployments"): _list,
        ("POST", "/repos/{owner}/{repo}/deployments"): _create,
        ("DELETE", "/repos/{owner}/{repo}/deployments/{deployment_id}"): _delete,
        ("POST", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses"): _create_status,
        ("DELETE", "/repos/{owner}/{repo}/environments/{environment_name}"): _delete_environment,
    }
)
