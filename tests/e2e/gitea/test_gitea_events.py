"""What the real Gitea sends when somebody does something reaches the previews: its bytes and headers at our door."""

from collections.abc import Iterator, Sequence

import pytest

from previews.domain.preview import PreviewKey
from previews.web.pushes import PushNews
from previews.web.talk import CommentNews
from tests.e2e.gitea_world import GiteaWorld
from tests.integration.scripted_http import PATIENCE_SECONDS, Asked, Reply, ScriptedServer
from tests.unit.knocking import SECRET, Door


class ShopDoor(Door):
    """Of one repository at Gitea, with the server that Gitea sends to."""

    def __init__(self, repository: str, receiver: ScriptedServer) -> None:
        super().__init__()
        self._repository = repository
        self._receiver = receiver

    def keys_of(self, repository: str, number: int) -> Sequence[PreviewKey]:
        return [PreviewKey("shop", number)] if repository == self._repository else []

    def take_in(self, event: str, kind: str) -> None:
        """The next delivery is of this event, and is accepted."""
        sent = self._receiver.heard.get(timeout=PATIENCE_SECONDS)
        assert (sent.headers["x-gitea-event"], sent.headers["x-gitea-event-type"]) == (event, kind)
        assert self.post(sent.body, dict(sent.headers)).json()["verdict"] == "accepted"

    def next_event(self) -> str:
        """What it is that Gitea sends next, which nobody takes in."""
        return self._receiver.heard.get(timeout=PATIENCE_SECONDS).headers["x-gitea-event"]

    def take_in_change(self, kind: str, *, mark: int) -> None:
        """The next delivery marks the preview once more."""
        self.take_in("pull_request", kind)
        (record,) = self.store.list_records()
        assert (record.key, record.fetch_mark) == (PreviewKey("shop", 1), mark)


@pytest.fixture
def door(world: GiteaWorld) -> Iterator[ShopDoor]:
    def take(_: Asked, reply: Reply) -> None:
        reply.send(202)

    with ScriptedServer(take) as receiver:
        assert world.open_pull_request(world.repository) == 1
        world.create_webhook(f"{receiver.url}/webhooks", SECRET)
        yield ShopDoor(world.repository, receiver)


def test_setting_and_taking_off_a_label_marks_the_preview(
    world: GiteaWorld, door: ShopDoor
) -> None:
    for mark, labels in enumerate((["preview-ttl: 24h"], []), start=1):
        world.set_labels(world.repository, 1, *labels)

        door.take_in_change("pull_request_label", mark=mark)


def test_a_draft_that_becomes_ready_marks_the_preview(world: GiteaWorld, door: ShopDoor) -> None:
    for mark, is_draft in enumerate((True, False), start=1):
        world.set_draft(world.repository, 1, is_draft=is_draft)

        door.take_in_change("pull_request", mark=mark)


def test_a_command_is_heard(world: GiteaWorld, door: ShopDoor) -> None:
    world.comment(world.repository, 1, "/preview")

    door.take_in("issue_comment", "pull_request_comment")
    assert door.heard == [CommentNews(world.repository, 1)]


def test_a_comment_of_ours_that_another_hand_changes_is_heard(
    world: GiteaWorld, door: ShopDoor
) -> None:
    ours = world.comment(world.repository, 1, "<!-- previews:acme -->", author=world.manager)
    assert door.next_event() == "issue_comment"

    world.edit_comment(ours, "free money")

    door.take_in("issue_comment", "pull_request_comment")
    assert door.heard == [CommentNews(world.repository, 1, is_ours=True)]


def test_a_push_to_the_base_branch_is_heard(world: GiteaWorld, door: ShopDoor) -> None:
    world.write_file(world.repository, ".previews.yaml", "drafts: true\n")

    door.take_in("push", "push")
    assert door.heard == [PushNews(world.repository, "main")]
