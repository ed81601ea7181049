"""What the door makes of comments, and of the button beside a check."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from previews.web.talk import CommentNews, RerunNews, recall_rerun
from previews.web.webhooks import News
from tests.github.description import webhook_schemas
from tests.github.hooks import example
from tests.unit.knocking import GUID, REPOSITORY, Door

MARKED = "<!-- previews:acme -->\n### Preview"


@pytest.fixture
def door() -> Door:
    return Door()


def comment(body: str, *, action: str = "created", by: str = "ada", **more: Any) -> bytes:  # noqa: ANN401 - JSON
    whole: dict[str, Any] = {
        "action": action,
        "repository": {"full_name": REPOSITORY},
        "issue": {"number": 2, "pull_request": {"url": "https://api.example/pulls/2"}},
        "comment": {"id": 7, "body": body, "user": {"login": "previews-bot"}},
        "sender": {"login": by},
    }
    return json.dumps(whole | more).encode()


def button(event: str, check: dict[str, Any], action: str = "rerequested") -> bytes:
    whole = {"action": action, "repository": {"full_name": REPOSITORY}, "sender": {"login": "ada"}}
    return json.dumps(whole | {event: check}).encode()


def test_a_command_has_the_comments_of_its_pull_request_read(door: Door) -> None:
    answer = door.deliver(comment("/preview remove"), event="issue_comment")

    assert answer.json() == {"verdict": "accepted", "reason": "", "guid": GUID}
    assert door.heard == [CommentNews(REPOSITORY, 2)]
    assert door.marked == []


def test_a_command_at_gitea_is_heard_as_well(door: Door) -> None:
    own: dict[str, str | None] = {
        "X-Gitea-Event": "issue_comment",
        "X-Gitea-Event-Type": "pull_request_comment",
        "X-Gitea-Delivery": GUID,
    }

    door.deliver(comment("/preview", is_pull=True), event="issue_comment", changes=own)

    assert door.heard == [CommentNews(REPOSITORY, 2)]


@pytest.mark.parametrize(
    "body",
    [
        comment("Nice."),
        comment("> /preview remove"),
        comment(MARKED, by="previews-bot"),
        comment(MARKED, action="edited", by="previews-bot"),
        comment("/preview remove", action="edited"),
        comment("/preview remove", action="deleted"),
        comment("/preview", issue={"number": 2}),
        comment("/preview", issue={"number": 2, "pull_request": None}, is_pull=False),
        comment("x" * 10**6),
        example("issue_comment.created"),
    ],
)
def test_what_asks_for_nothing_is_ignored(door: Door, body: bytes) -> None:
    answer = door.deliver(body, event="issue_comment")

    assert answer.json()["verdict"] == "ignored"
    assert door.heard == []


@pytest.mark.parametrize(
    "body",
    [
        comment(MARKED, action="deleted"),
        comment("Hidden.", action="edited", changes={"body": {"from": MARKED}}),
        comment(f"{MARKED} and more", action="edited"),
    ],
)
def test_a_comment_of_ours_that_another_hand_changed_is_looked_at(door: Door, body: bytes) -> None:
    door.deliver(body, event="issue_comment")

    assert door.heard == [CommentNews(REPOSITORY, 2, is_ours=True)]


def test_a_comment_elsewhere_is_ignored(door: Door) -> None:
    body = comment("/preview", repository={"full_name": "mallory/shop"})

    assert door.deliver(body, event="issue_comment").json()["verdict"] == "ignored"
    assert door.heard == []


def test_a_comment_of_another_shape_is_kept_aside(door: Door) -> None:
    answer = door.deliver(comment("/preview", issue={"number": "2"}), event="issue_comment")

    assert answer.json()["verdict"] == "kept aside"


def test_a_replayed_command_is_heard_once(door: Door) -> None:
    for _ in range(2):
        door.deliver(comment("/preview remove"), event="issue_comment")

    assert len(door.heard) == 1


def test_the_button_beside_a_check_of_ours_names_its_preview(door: Door) -> None:
    check = {"external_id": "previews:acme:hello#2", "name": "preview/hello", "pull_requests": []}

    door.deliver(button("check_run", check), event="check_run")

    assert door.heard == [
        RerunNews(repository=REPOSITORY, external_id="previews:acme:hello#2", sender="ada")
    ]


def test_running_all_checks_again_names_their_pull_requests(door: Door) -> None:
    suite = {"head_sha": "a" * 40, "pull_requests": [{"number": 2}, {"number": 3}]}

    door.deliver(button("check_suite", suite), event="check_suite")

    assert door.heard == [RerunNews(repository=REPOSITORY, numbers=(2, 3), sender="ada")]


def test_running_all_checks_of_a_forks_commit_again_names_the_commit(door: Door) -> None:
    """GitHub's description: the branch of a fork is null, and the pull requests are empty."""
    said = json.loads(example("check_suite.rerequested"))
    said["check_suite"] |= {"head_branch": None, "pull_requests": []}
    assert webhook_schemas().violations("check_suite", said) == []

    door.deliver(json.dumps(said).encode(), event="check_suite")

    head_sha, sender = said["check_suite"]["head_sha"], said["sender"]["login"]
    assert door.heard == [RerunNews(repository=REPOSITORY, head_sha=head_sha, sender=sender)]
    (kept,) = door.store.unfinished_deliveries()
    assert [recall_rerun(kept.event, kept.body)] == door.heard


@pytest.mark.parametrize("head_sha", ["", "main", "A" * 40, None])
def test_what_is_no_commit_is_looked_for_nowhere(door: Door, head_sha: str | None) -> None:
    door.deliver(button("check_suite", {"head_sha": head_sha}), event="check_suite")

    assert door.heard == [RerunNews(repository=REPOSITORY, sender="ada")]


class DoorOfASlowStore(Door):
    """Looks up a button only when another delivery was answered."""

    def __init__(self) -> None:
        super().__init__()
        self.looks_up, self.goes_on = threading.Event(), threading.Event()

    def hear(self, news: News) -> None:
        if isinstance(news, RerunNews):
            self.looks_up.set()
            assert self.goes_on.wait(timeout=10)
        super().hear(news)


def test_no_other_delivery_waits_until_a_button_was_looked_up() -> None:
    door = DoorOfASlowStore()
    # As a context, all requests are served by one event loop, as the manager's are.
    with door.client, ThreadPoolExecutor() as someone:
        suite = button("check_suite", {"head_sha": "a" * 40})
        pressed = someone.submit(door.deliver, suite, event="check_suite")
        assert door.looks_up.wait(timeout=10)
        told = door.deliver(
            comment("/preview"), event="issue_comment", changes={"X-GitHub-Delivery": "another"}
        )
        door.goes_on.set()

        assert told.json()["verdict"] == pressed.result().json()["verdict"] == "accepted"
    assert CommentNews(REPOSITORY, 2) in door.heard
    assert len(door.heard) == 2


def test_what_a_button_asks_for_is_kept_until_it_is_done(door: Door) -> None:
    check = {"external_id": "previews:acme:hello#2", "output": {"text": "x" * 10_000}}

    door.deliver(button("check_run", check), event="check_run")

    (kept,) = door.store.unfinished_deliveries()
    assert [recall_rerun(kept.event, kept.body)] == door.heard
    assert len(kept.body) < 300


@pytest.mark.parametrize("body", [b"{}", b"", b"\xff", b"[]", b'{"action": "rerequested"}'])
def test_what_was_kept_in_another_form_is_no_button(body: bytes) -> None:
    assert recall_rerun("check_run", body) is None


@pytest.mark.parametrize("action", ["created", "completed"])
def test_what_happens_to_a_check_of_ours_is_no_news(door: Door, action: str) -> None:
    check = {"external_id": "previews:acme:hello#2", "name": "preview/hello", "head_sha": "a" * 40}

    answer = door.deliver(button("check_run", check, action), event="check_run")

    assert answer.json()["reason"] == "a manager's own status"
    assert door.heard == []
