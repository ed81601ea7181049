"""The watch of a cluster, whatever the API server says in it: nothing is lost, and nobody is woken in vain."""

import threading
from pathlib import Path

import pytest

from previews.adapters.kubernetes_api import ClusterTimes
from previews.errors import TransientError
from tests.integration.scripted_http import Asked, Reply, eventually
from tests.integration.watched_api import (
    SHOP_42,
    SHOP_43,
    APIServer,
    application,
    event,
    quiet,
    saying,
    story,
)


def test_nothing_is_known_before_both_kinds_are_listed_and_nobody_is_woken_in_vain(
    tmp_path: Path,
) -> None:
    api = APIServer()
    api.applications = [application(42, 5)]
    namespaces_may_be_listed = threading.Event()

    def slow(asked: Asked, reply: Reply) -> None:
        if "watch" in asked.query:
            return quiet(asked, reply)
        namespaces_may_be_listed.wait()
        return api.list(asked, reply, [])

    api.objects["GET /api/v1/namespaces"] = slow
    with story(tmp_path, api) as it:
        with pytest.raises(TransientError, match="first list"):
            it.cluster.application("shop-pr-42")
        it.start()
        eventually(it.watches_of_applications)
        with pytest.raises(TransientError, match="first list of namespaces"):
            it.cluster.application("shop-pr-42")
        assert it.changes.empty()
        namespaces_may_be_listed.set()
        assert it.next_change() == SHOP_42
        assert it.health(42) == "Healthy"
        assert it.cluster.owned_keys() == {SHOP_42}
        eventually(lambda: it.cluster.problem() is None)


def test_only_objects_of_this_instance_are_asked_for_and_from_the_lists_version_on(
    tmp_path: Path,
) -> None:
    with story(tmp_path) as it:
        it.start()
        eventually(it.watches_of_applications)
        listed, watched = it.asked_of_applications()
        assert listed.query["labelSelector"] == watched.query["labelSelector"]
        assert watched.query["labelSelector"] == "previews.dev/instance=acme"
        assert watched.query["resourceVersion"] == "10"
        assert watched.query["allowWatchBookmarks"] == "true"
        assert int(watched.query["timeoutSeconds"]) >= 1


def test_a_long_list_is_read_to_its_last_page(tmp_path: Path) -> None:
    def first_page(_asked: Asked, reply: Reply) -> None:
        metadata = {"resourceVersion": "10", "continue": "more/of+it"}
        reply.json(200, {"metadata": metadata, "items": [application(42, 5)]})

    def second_page(asked: Asked, reply: Reply) -> None:
        assert asked.query["continue"] == "more/of+it"
        reply.json(200, {"metadata": {"resourceVersion": "10"}, "items": [application(43, 6)]})

    api = APIServer()
    api.lists.put(first_page)
    api.lists.put(second_page)
    with story(tmp_path, api) as it:
        it.start()
        assert {it.next_change(), it.next_change()} == {SHOP_42, SHOP_43}
        assert it.cluster.owned_keys() == {SHOP_42, SHOP_43}


def test_noise_in_the_status_wakes_nobody(tmp_path: Path) -> None:
    api = APIServer()
    api.applications = [application(42, 5)]
    api.watches.put(
        saying(
            event("MODIFIED", application(42, 11)),
            event("MODIFIED", application(42, 12, resourceVersionToo="noise")),
            event("ADDED", application(43, 13)),
        )
    )
    with story(tmp_path, api) as it:
        it.start()
        assert it.next_change() == SHOP_42
        assert it.next_change() == SHOP_43
        assert it.changes.empty()


@pytest.mark.fault(34)
def test_events_that_come_twice_or_late_change_nothing(tmp_path: Path) -> None:
    api = APIServer()
    new = event("MODIFIED", application(42, 14, health="Degraded"))
    api.applications = [application(42, 5)]
    api.watches.put(
        saying(
            new + event("MODIFIED", application(42, 13)) + new,
            event("DELETED", application(42, 12)),
            event("DELETED", application(42, 15, uid="another")),
            event("ADDED", application(43, 16)),
        )
    )
    with story(tmp_path, api) as it:
        it.start()
        assert [it.next_change() for _ in range(3)] == [SHOP_42, SHOP_42, SHOP_43]
        assert it.changes.empty()
        assert it.health(42) == "Degraded"


def test_an_object_that_was_deleted_is_gone(tmp_path: Path) -> None:
    api = APIServer()
    api.applications = [application(42, 5)]
    api.watches.put(saying(event("DELETED", application(42, 11))))
    with story(tmp_path, api) as it:
        it.start()
        assert [it.next_change(), it.next_change()] == [SHOP_42, SHOP_42]
        assert it.cluster.application("shop-pr-42") is None
        assert it.cluster.owned_keys() == set()


def test_an_event_may_come_in_pieces(tmp_path: Path) -> None:
    api = APIServer()
    whole = event("ADDED", application(42, 11)) + event("ADDED", application(43, 12))
    api.watches.put(saying(*(whole[i : i + 7] for i in range(0, len(whole), 7))))
    with story(tmp_path, api) as it:
        it.start()
        assert [it.next_change(), it.next_change()] == [SHOP_42, SHOP_43]


def test_a_bookmark_moves_the_place_to_continue_from_and_wakes_nobody(tmp_path: Path) -> None:
    api = APIServer()
    bookmark = {"metadata": {"resourceVersion": "9000"}}
    api.watches.put(saying(event("BOOKMARK", bookmark), then=Reply.break_off))
    with story(tmp_path, api) as it:
        it.start()
        eventually(lambda: len(it.watches_of_applications()) == 2)
        assert it.watches_of_applications()[1].query["resourceVersion"] == "9000"
        assert it.changes.empty()


@pytest.mark.fault(34)
def test_a_deletion_that_no_event_told_is_found_by_the_next_list(tmp_path: Path) -> None:
    times = ClusterTimes(
        watch_seconds=0.1, silence_seconds=0.1, relist_seconds=0.1, retry_seconds=0.01
    )
    api = APIServer()
    api.applications = [application(42, 5)]
    with story(tmp_path, api, times) as it:
        it.start()
        assert it.next_change() == SHOP_42
        api.applications = []
        assert it.next_change() == SHOP_42
        assert it.cluster.application("shop-pr-42") is None
