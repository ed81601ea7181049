"""What the real Gitea sends when labels change reaches the previews: its own bytes and headers at our door."""

from collections.abc import Sequence

import pytest

from previews.domain.preview import PreviewKey
from tests.cluster import preflight, running
from tests.e2e.gitea_world import GiteaWorld
from tests.integration.scripted_http import PATIENCE_SECONDS, Asked, Reply, ScriptedServer
from tests.unit.knocking import SECRET, Door

pytestmark = pytest.mark.e2e


class ShopDoor(Door):
    """Of one repository at Gitea."""

    def __init__(self, repository: str) -> None:
        super().__init__()
        self._repository = repository

    def keys_of(self, repository: str, number: int) -> Sequence[PreviewKey]:
        return [PreviewKey("shop", number)] if repository == self._repository else []


def test_setting_and_taking_off_a_label_marks_the_preview() -> None:
    cluster = running()
    if cluster is None:
        pytest.skip(preflight() or "the local cluster does not run: make cluster-up")

    def take(_: Asked, reply: Reply) -> None:
        reply.send(202)

    with GiteaWorld(cluster) as world, ScriptedServer(take) as receiver:
        repository = world.add_repository()
        number = world.open_pull_request(repository)
        world.create_webhook(f"{receiver.url}/webhooks", SECRET)
        door = ShopDoor(repository)
        for mark, labels in enumerate((["preview-ttl: 24h"], []), start=1):
            world.set_labels(repository, number, *labels)
            sent = receiver.heard.get(timeout=PATIENCE_SECONDS)

            assert sent.headers["x-gitea-event-type"] == "pull_request_label"
            assert door.post(sent.body, dict(sent.headers)).json()["verdict"] == "accepted"
            (record,) = door.store.list_records()
            assert (record.key, record.fetch_mark) == (PreviewKey("shop", number), mark)
