"""The stand-in's answers about comments and the reactions to them."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from tests.fakes.forge_things import RefusedError, Repository
from tests.github.desk import Desk, Routes
from tests.github.server import Answer, Asked


def _list_comments(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)
    number = int(in_path["issue_number"])
    desk.pull_request(held.name, number)
    found = desk.comments_of(held.name, number)
    if "since" in asked.query:
        since = datetime.fromisoformat(asked.query["since"][0])
        found = [each for each in found if each.updated_at >= since]
    path = f"/repositories/{held.id}/issues/{number}/comments"
    page, headers = desk.page(asked, path, found)
    return Answer(200, [desk.render.comment(each, held.name) for each in page], headers)


def _create_comment(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)
    number = int(in_path["issue_number"])
    created = desk.comment(held.name, number, asked.body["body"], author=desk.login_of(asked))
    return Answer(201, desk.render.comment(desk.comment_of(created), held.name))


def _update_comment(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)
    comment_id = _comment_in(desk, held, in_path)
    if desk.comment_of(comment_id).author != desk.login_of(asked):
        kind = "integration" if desk.is_app(asked) else "personal access token"
        raise RefusedError(403, f"Resource not accessible by {kind}")
    edited = desk.edit_comment(comment_id, asked.body["body"])
    return Answer(200, desk.render.comment(edited, held.name))


def _react(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    comment_id = _comment_in(desk, desk.named(in_path), in_path)
    content, login = asked.body["content"], desk.login_of(asked)
    is_new = desk.add_reaction(comment_id, login, content)
    rendered = desk.render.reaction(content, login, comment_id)
    return Answer(201 if is_new else 200, rendered)


def _comment_in(desk: Desk, held: Repository, in_path: Mapping[str, str]) -> int:
    found = desk.comment_of(int(in_path["comment_id"]))
    if found.repository_id != held.id:
        raise RefusedError(404, "Not Found")
    return found.id


ROUTES: Routes = MappingProxyType(
    {
        ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments"): _list_comments,
        ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments"): _create_comment,
        ("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}"): _update_comment,
        ("POST", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions"): _react,
    }
)
