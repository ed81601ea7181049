"""The watch of a cluster whose API server forgets, ends, is silent or refuses: it recovers, and says what is so."""

from pathlib import Path

import pytest

from previews.domain.preview import PreviewKey
from previews.errors import TransientError
from tests.integration.scripted_http import (
    PATIENCE_SECONDS,
    Asked,
    Reply,
    ScriptedServer,
    eventually,
)
from tests.integration.watched_api import (
    IMPATIENT,
    SHOP_42,
    SHOP_43,
    APIServer,
    Behaviour,
    application,
    event,
    quiet,
    refusing,
    saying,
    status,
    story,
)


@pytest.mark.parametrize(
    "expired",
    [
        refusing(410, status(410, "Expired")),
        saying(event("ERROR", status(410, "Expired"))),
        saying(b"{not json}\n"),
        saying(b'{"type": "ADDED"}\n'),
        saying(event("ADDED", {"metadata": {}})),
    ],
    ids=["410 at the door", "410 as an event", "no JSON", "no object", "no version"],
)
@pytest.mark.fault(34)
def test_what_cannot_be_continued_is_listed_anew_and_a_missed_deletion_found(
    tmp_path: Path, expired: Behaviour
) -> None:
    api = APIServer()
    api.applications = [application(42, 5), application(43, 6)]

    def loses_one(asked: Asked, reply: Reply) -> None:
        api.applications = [application(43, 6)]
        api.version = 20
        expired(asked, reply)

    api.watches.put(loses_one)
    with story(tmp_path, api) as it:
        it.start()
        assert {it.next_change(), it.next_change()} == {SHOP_42, SHOP_43}
        assert it.next_change() == SHOP_42
        assert it.cluster.application("shop-pr-42") is None
        assert it.health(43) == "Healthy"
        eventually(lambda: len(it.watches_of_applications()) == 2)
        assert it.watches_of_applications()[1].query["resourceVersion"] == "20"
        assert it.changes.empty()


def test_a_server_that_has_always_forgotten_is_not_asked_without_end(tmp_path: Path) -> None:
    api = APIServer()
    for _ in range(5):
        api.watches.put(refusing(410, status(410, "Expired")))
    with story(tmp_path, api) as it:
        it.start()
        eventually(lambda: len(it.lists_of_applications()) == 6)
        eventually(lambda: it.cluster.problem() is None)


@pytest.mark.parametrize(
    "ends",
    [
        saying(
            event("ADDED", application(42, 11)), b'{"type": "ADDED", "obj', then=Reply.break_off
        ),
        saying(event("ADDED", application(42, 11)), b'{"type": "ADDED", "obj', then=Reply.end),
        saying(event("ADDED", application(42, 11)), then=Reply.end),
        saying(event("ADDED", application(42, 11)), event("ERROR", status(500, "InternalError"))),
    ],
    ids=["broken off in an event", "ended in an event", "ended early", "an error"],
)
def test_a_watch_that_ends_is_continued_where_it_was(tmp_path: Path, ends: Behaviour) -> None:
    api = APIServer()
    api.watches.put(ends)
    api.watches.put(saying(event("ADDED", application(43, 12))))
    with story(tmp_path, api) as it:
        it.start()
        assert [it.next_change(), it.next_change()] == [SHOP_42, SHOP_43]
        assert it.watches_of_applications()[1].query["resourceVersion"] == "11"
        assert len(it.lists_of_applications()) == 1


def test_a_server_that_ends_every_watch_at_once_is_a_problem_and_not_a_reason_to_hurry(
    tmp_path: Path,
) -> None:
    api = APIServer()
    for _ in range(4):
        api.watches.put(saying(then=Reply.end))
    with story(tmp_path, api) as it:
        it.start()
        eventually(lambda: "ended early" in (it.cluster.problem() or ""))
        eventually(lambda: len(it.watches_of_applications()) == 5)
        eventually(lambda: it.cluster.problem() is None)
        assert len(it.lists_of_applications()) == 1


@pytest.mark.fault(34)
def test_a_stream_that_stays_silent_is_held_for_dead(tmp_path: Path) -> None:
    api = APIServer()
    api.watches.put(quiet)
    api.watches.put(saying(event("ADDED", application(42, 11))))
    with story(tmp_path, api, IMPATIENT) as it:
        it.start()
        assert it.next_change() == SHOP_42


@pytest.mark.fault(35)
def test_what_is_known_stays_known_while_the_server_is_down(tmp_path: Path) -> None:
    api = APIServer()
    api.applications = [application(42, 5)]
    with story(tmp_path, api) as it:
        it.start()
        assert it.next_change() == SHOP_42
        eventually(lambda: it.cluster.problem() is None)
        it.server.__exit__(None, None, None)
        eventually(lambda: "connection refused" in (it.cluster.problem() or ""))
        assert it.health(42) == "Healthy"
        with pytest.raises(TransientError, match="does not answer: connection refused") as raised:
            it.cluster.fetch_application("shop-pr-42")
        assert raised.value.reason == "ClusterUnreachable"
        api.applications = [application(42, 25, health="Degraded"), application(43, 26)]
        api.watches.put(refusing(410, status(410, "Expired")))
        with ScriptedServer(api.answer, port=it.server.port):
            assert {it.next_change(), it.next_change()} == {SHOP_42, SHOP_43}
            eventually(lambda: it.cluster.problem() is None)
            it.stop.set()
            it.thread.join(PATIENCE_SECONDS)


@pytest.mark.fault(35)
def test_a_server_that_asks_for_a_pause_gets_it(tmp_path: Path) -> None:
    api = APIServer()
    api.watches.put(refusing(429, status(429, "TooManyRequests"), Retry_After="3000"))
    with story(tmp_path, api, IMPATIENT) as it:
        it.start()
        eventually(lambda: "429" in (it.cluster.problem() or ""))

        def rounds_of_namespaces() -> int:
            return sum(asked.path.endswith("/namespaces") for asked in it.server.asked)

        before = rounds_of_namespaces()
        eventually(lambda: rounds_of_namespaces() > before + 3)
        assert len(it.watches_of_applications()) == 1


def test_a_token_that_was_renewed_on_disk_is_read_again(tmp_path: Path) -> None:
    api = APIServer()
    with story(tmp_path, api) as it:
        api.token = "second"
        it.write_token("second")
        it.start()
        eventually(it.watches_of_applications)
        eventually(lambda: it.cluster.problem() is None)
        assert (
            sum(asked.headers["authorization"] == "Bearer first" for asked in it.server.asked) <= 2
        )


def test_a_token_that_is_not_accepted_is_said_and_tried_again(tmp_path: Path) -> None:
    api = APIServer()
    with story(tmp_path, api) as it:
        api.token = "second"
        it.start()
        eventually(lambda: "credential" in (it.cluster.problem() or ""))
        with pytest.raises(TransientError) as raised:
            it.cluster.check()
        assert raised.value.reason == "ClusterUnauthorized"
        assert "first" not in raised.value.message
        it.write_token("second")
        eventually(lambda: it.cluster.problem() is None)


def test_a_missing_right_is_named_and_the_watch_recovers_once_it_is_there(tmp_path: Path) -> None:
    api = APIServer()
    said = 'User "previews" cannot watch resource'
    for _ in range(3):
        api.watches.put(refusing(403, status(403, "Forbidden", said)))
    with story(tmp_path, api) as it:
        it.start()
        eventually(
            lambda: (
                "may not watch applications.argoproj.io in namespace argocd"
                in (it.cluster.problem() or "")
            )
        )
        eventually(lambda: it.cluster.problem() is None)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_that_ends_the_watch_makes_every_read_fail(tmp_path: Path) -> None:
    api = APIServer()
    api.applications = [application(42, 5)]
    with story(tmp_path, api) as it:

        def bug(_key: PreviewKey) -> None:
            raise LookupError("a bug")

        it.on_change = bug
        it.start()
        eventually(lambda: "no longer watched" in (it.cluster.problem() or ""))
        with pytest.raises(TransientError, match="no longer watched"):
            it.cluster.application("shop-pr-42")
