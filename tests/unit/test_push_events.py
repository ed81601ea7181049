"""What the door makes of a push: a repository and a branch, and nothing else of what stands in it."""

import json
from typing import Any

import pytest

from previews.web.pushes import REF_LENGTH_MAX, PushNews
from tests.github.hooks import example
from tests.unit.knocking import GUID, REPOSITORY, Door


@pytest.fixture
def door() -> Door:
    return Door()


def push(ref: object = "refs/heads/main", **more: Any) -> bytes:  # noqa: ANN401 - JSON
    return json.dumps({"ref": ref, "repository": {"full_name": REPOSITORY}} | more).encode()


def test_githubs_own_example_names_the_branch(door: Door) -> None:
    body = example("push")

    answer = door.deliver(body, event="push")

    assert answer.json() == {"verdict": "accepted", "reason": "", "guid": GUID}
    (news,) = door.heard
    assert isinstance(news, PushNews)
    assert f"refs/heads/{news.branch}" == json.loads(body)["ref"]
    assert door.marked == []
    assert door.only_delivery().body == b""


def test_a_branch_may_have_folders_and_odd_letters(door: Door) -> None:
    door.deliver(push("refs/heads/release/1.2-\u00e4;$(id)"), event="push")

    assert door.heard == [PushNews(REPOSITORY, "release/1.2-\u00e4;$(id)")]


@pytest.mark.parametrize("ref", ["refs/tags/v1", "refs/heads/", "refs/pull/2/head", "main", ""])
def test_what_is_no_branch_is_ignored(door: Door, ref: str) -> None:
    answer = door.deliver(push(ref), event="push")

    assert (answer.status_code, answer.json()["verdict"]) == (202, "ignored")
    assert door.heard == []


def test_a_push_elsewhere_is_ignored(door: Door) -> None:
    body = push(repository={"full_name": "mallory/shop"})

    assert door.deliver(body, event="push").json()["verdict"] == "ignored"
    assert door.heard == []


@pytest.mark.parametrize(
    "body",
    [
        push(None),
        push(["refs/heads/main"]),
        push("refs/heads/" + "x" * REF_LENGTH_MAX),
        push(repository=None),
        b"[]",
    ],
)
def test_a_push_of_another_shape_is_kept_aside(door: Door, body: bytes) -> None:
    assert door.deliver(body, event="push").json()["verdict"] == "kept aside"
    assert door.heard == []


def test_a_replayed_push_is_heard_once(door: Door) -> None:
    for _ in range(2):
        door.deliver(push(), event="push")

    assert len(door.heard) == 1
