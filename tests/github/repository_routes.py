"""The stand-in's answers about repositories: pull requests, files, people."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from previews.domain.conversation import Permission
from tests.fakes.forge_things import RefusedError, Repository, WorldPullRequest
from tests.github.desk import Desk, Routes
from tests.github.server import Answer, Asked
from tests.github.trees import trees_of

SINGLE_ONLY = frozenset(
    {
        "additions",
        "changed_files",
        "comments",
        "commits",
        "deletions",
        "maintainer_can_modify",
        "mergeable",
        "mergeable_state",
        "merged",
        "merged_by",
        "rebaseable",
        "review_comments",
    }
)
"""What GitHub works out for a single pull request, not for a list of them."""
CHANGED_FILES_MAX = 3000


def _get_user(desk: Desk, asked: Asked, __: Mapping[str, str]) -> Answer:
    if desk.is_app(asked):
        raise RefusedError(403, "Resource not accessible by integration")
    return Answer(200, desk.render.own_user(desk.login_of(asked)))


def _get_repository(desk: Desk, _: Asked, in_path: Mapping[str, str]) -> Answer:
    return Answer(200, desk.render.full_repository(desk.named(in_path)))


def _get_permission(desk: Desk, _: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)
    permission = desk.permission(held.name, in_path["username"])
    if permission is None:
        raise RefusedError(404, f"{in_path['username']} is not a user")
    may = {
        "pull": permission is not Permission.NONE,
        "triage": permission.may_write,
        "push": permission.may_write,
        "maintain": permission is Permission.ADMIN,
        "admin": permission is Permission.ADMIN,
    }
    role = {"permission": permission.value, "role_name": permission.value}
    user = desk.render.user(in_path["username"])
    return Answer(200, role | {"user": user | {"permissions": may, "role_name": permission.value}})


def _get_tree(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)
    name = in_path["tree_sha"]
    tips = {**held.commits, **held.branches}
    known = [replace(trees_of(files)[0], id=tip) for tip, files in tips.items()]
    known += [tree for files in tips.values() for tree in trees_of(files)]
    found = next((tree for tree in known if tree.id == name), None)
    if found is None:
        raise RefusedError(404, "Not Found")
    whole = "recursive" in asked.query
    entries = [
        _entry(desk, held, path, kind, object_id)
        for path, kind, object_id in found.entries
        if whole or "/" not in path
    ]
    url = f"{desk.url}/repos/git/trees/{found.id}"
    return Answer(200, {"sha": found.id, "url": url, "tree": entries, "truncated": False})


def _entry(desk: Desk, held: Repository, path: str, kind: str, object_id: str) -> dict[str, Any]:
    entry = {
        "path": path,
        "mode": "040000" if kind == "tree" else "100644",
        "type": kind,
        "sha": object_id,
        "url": f"{desk.url}/repos/git/{kind}s/{object_id}",
    }
    return entry | ({"size": len(held.blobs[object_id])} if kind == "blob" else {})


def _get_blob(desk: Desk, _: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)
    blob = in_path["file_sha"]
    if blob not in held.blobs:
        raise RefusedError(404, "Not Found")
    content = held.blobs[blob]
    # GitHub breaks the lines of its Base64.
    text = base64.encodebytes(content).decode()
    return Answer(
        200,
        {
            "sha": blob,
            "node_id": blob,
            "size": len(content),
            "url": f"{desk.url}/repos/{held.name}/git/blobs/{blob}",
            "content": text,
            "encoding": "base64",
        },
    )


def _list_pulls(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)
    if asked.query.get("state", ["open"]) != ["open"]:
        raise NotImplementedError("the stand-in lists open pull requests only")
    found = desk.open_pull_requests(held.name)
    page, headers = desk.page(asked, f"/repositories/{held.id}/pulls", found)
    return Answer(200, [_simple(desk, each, held) for each in page], headers)


def _simple(desk: Desk, pull_request: WorldPullRequest, held: Repository) -> dict[str, Any]:
    """As in a list: without what GitHub works out for a single one only."""
    whole = desk.render.pull_request(pull_request, held.id)
    return {name: value for name, value in whole.items() if name not in SINGLE_ONLY}


def _get_pull(desk: Desk, _: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)
    found = desk.pull_request(held.name, int(in_path["pull_number"]))
    return Answer(200, desk.render.pull_request(found, held.id))


def _list_changed_files(desk: Desk, asked: Asked, in_path: Mapping[str, str]) -> Answer:
    held = desk.named(in_path)
    found = desk.pull_request(held.name, int(in_path["pull_number"]))
    files = list(_changed_files(found.base_files, held.commits[found.head_sha]))
    path = f"/repositories/{held.id}/pulls/{found.number}/files"
    page, headers = desk.page(asked, path, files[:CHANGED_FILES_MAX])
    return Answer(200, [desk.render.changed_file(each, held.name) for each in page], headers)


def _changed_files(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Where the very same file is gone under one name and there under another, it was renamed."""
    gone = {blob: path for path, blob in before.items() if path not in after}
    renamed = {
        gone[blob]: path for path, blob in after.items() if path not in before and blob in gone
    }
    for path in sorted({*before, *after}):
        if path in renamed or before.get(path) == after.get(path):
            continue
        if path not in after:
            yield {"filename": path, "status": "removed", "sha": before[path]}
            continue
        old = next((old for old, new in renamed.items() if new == path), "")
        status = "modified" if path in before else "renamed" if old else "added"
        changed = {"filename": path, "status": status, "sha": after[path]}
        yield changed | ({"previous_filename": old} if old else {})


ROUTES: Routes = MappingProxyType(
    {
        ("GET", "/user"): _get_user,
        ("GET", "/repos/{owner}/{repo}"): _get_repository,
        ("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission"): _get_permission,
        ("GET", "/repos/{owner}/{repo}/git/trees/{tree_sha}"): _get_tree,
        ("GET", "/repos/{owner}/{repo}/git/blobs/{file_sha}"): _get_blob,
        ("GET", "/repos/{owner}/{repo}/pulls"): _list_pulls,
        ("GET", "/repos/{owner}/{repo}/pulls/{pull_number}"): _get_pull,
        ("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/files"): _list_changed_files,
    }
)
