"""The cluster adapter against an API server that misbehaves: what a real one does rarely, and when it hurts."""

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from previews.adapters.cluster import KubernetesCluster
from previews.adapters.kubernetes_api import ClusterTimes
from previews.domain.preview import PreviewKey
from previews.errors import ConfigurationError, StalledError, TransientError
from tests.integration.scripted_http import (
    PATIENCE_SECONDS,
    Asked,
    Reply,
    ScriptedServer,
    eventually,
)

QUICK = ClusterTimes(
    connect_seconds=2.0,
    read_seconds=2.0,
    watch_seconds=30.0,
    silence_seconds=2.0,
    relist_seconds=600.0,
    retry_seconds=0.01,
    retry_seconds_max=0.05,
)
IMPATIENT = ClusterTimes(
    watch_seconds=0.1, silence_seconds=0.1, retry_seconds=0.01, retry_seconds_max=0.05
)
SHOP_42, SHOP_43 = PreviewKey("shop", 42), PreviewKey("shop", 43)

Raw = dict[str, Any]
Behaviour = Callable[[Asked, Reply], None]


def application(number: int, version: int, *, health: str = "Healthy", **metadata: object) -> Raw:
    return {
        "metadata": {
            "name": f"shop-pr-{number}",
            "uid": f"u-{number}",
            "resourceVersion": str(version),
            "labels": {
                "previews.dev/instance": "acme",
                "previews.dev/project": "shop",
                "pr": str(number),
            },
            **metadata,
        },
        "spec": {},
        "status": {"health": {"status": health}, "reconciledAt": f"second {version}"},
    }


def event(kind: str, raw: Raw) -> bytes:
    return json.dumps({"type": kind, "object": raw}).encode() + b"\n"


def status(code: int, reason: str, message: str = "said so", **details: str) -> Raw:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
        "details": details,
    }


class APIServer:
    """Lists what it is told to list, and follows a script for each watch of Applications; Namespaces are quiet."""

    def __init__(self) -> None:
        self.version = 10
        self.applications: list[Raw] = []
        self.lists: queue.Queue[Behaviour] = queue.Queue()
        self.watches: queue.Queue[Behaviour] = queue.Queue()
        self.objects: dict[str, Behaviour] = {}
        self.token = "first"

    def answer(self, asked: Asked, reply: Reply) -> None:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            reply.json(401, status(401, "Unauthorized"))
        elif behaviour := self.objects.get(f"{asked.method} {asked.path}"):
            behaviour(asked, reply)
        elif asked.path.endswith("/namespaces"):
            quiet(asked, reply) if "watch" in asked.query else self.list(asked, reply, [])
        elif "watch" in asked.query:
            self._next(self.watches, quiet)(asked, reply)
        else:
            self._next(self.lists, self._list_applications)(asked, reply)

    def list(self, _asked: Asked, reply: Reply, items: list[Raw]) -> None:
        reply.json(
            200,
            {
                "kind": "List",
                "metadata": {"resourceVersion": str(self.version)},
                "items": items,
            },
        )

    def _list_applications(self, asked: Asked, reply: Reply) -> None:
        self.list(asked, reply, self.applications)

    @staticmethod
    def _next(scripted: "queue.Queue[Behaviour]", default: Behaviour) -> Behaviour:
        try:
            return scripted.get_nowait()
        except queue.Empty:
            return default


def quiet(_asked: Asked, reply: Reply) -> None:
    """A watch in which nothing happens."""
    reply.begin()
    reply.hang()


def saying(*data: bytes, then: Callable[[Reply], None] = Reply.hang) -> Behaviour:
    """A watch that says this, and then hangs or ends."""

    def behaviour(_asked: Asked, reply: Reply) -> None:
        reply.begin()
        for chunk in data:
            reply.chunk(chunk)
        then(reply)

    return behaviour


def refusing(code: int, content: object, **headers: str) -> Behaviour:
    return lambda _asked, reply: reply.json(code, content, **headers)


class Story:
    """A manager's cluster adapter, at work against `api`."""

    def __init__(
        self, api: APIServer, server: ScriptedServer, directory: Path, times: ClusterTimes
    ) -> None:
        self.api = api
        self.server = server
        self.kubeconfig = directory / "kubeconfig"
        self.write_token(api.token)
        self.cluster = KubernetesCluster(
            kubeconfig=self.kubeconfig, argocd_namespace="argocd", instance="acme", times=times
        )
        self.changes: queue.Queue[PreviewKey] = queue.Queue()
        self.on_change: Callable[[PreviewKey], None] = self.changes.put
        self.stop = threading.Event()
        self.thread = threading.Thread(
            target=lambda: self.cluster.watch(self.on_change, self.stop),
            daemon=True,
        )

    def write_token(self, token: str) -> None:
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "current-context": "it",
                    "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
                    "clusters": [{"name": "it", "cluster": {"server": self.server.url}}],
                    "users": [{"name": "it", "user": {"token": token}}],
                }
            )
        )

    def start(self) -> None:
        self.thread.start()

    def next_change(self) -> PreviewKey:
        return self.changes.get(timeout=PATIENCE_SECONDS)

    def health(self, number: int) -> str | None:
        found = self.cluster.application(f"shop-pr-{number}")
        return found.health if found else None

    def asked_of_applications(self) -> list[Asked]:
        return [asked for asked in self.server.asked if asked.path.endswith("/applications")]

    def watches_of_applications(self) -> list[Asked]:
        return [asked for asked in self.asked_of_applications() if "watch" in asked.query]

    def lists_of_applications(self) -> list[Asked]:
        return [asked for asked in self.asked_of_applications() if "watch" not in asked.query]


@contextmanager
def story(
    directory: Path, api: APIServer | None = None, times: ClusterTimes = QUICK
) -> Iterator[Story]:
    api = api or APIServer()
    with ScriptedServer(api.answer) as server:
        told = Story(api, server, directory, times)
        try:
            yield told
        finally:
            told.stop.set()
            if told.thread.ident is not None:
                told.thread.join(PATIENCE_SECONDS)
                assert not told.thread.is_alive()


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
def test_a_stream_that_stays_silent_is_held_for_dead(tmp_path: Path) -> None:
    api = APIServer()
    api.watches.put(quiet)
    api.watches.put(saying(event("ADDED", application(42, 11))))
    with story(tmp_path, api, IMPATIENT) as it:
        it.start()
        assert it.next_change() == SHOP_42


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


APPLICATION = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/shop-pr-42"
NOT_FOUND = status(404, "NotFound", name="shop-pr-42", kind="applications")


def test_absence_is_believed_only_of_kubernetes_own_word_about_that_object(tmp_path: Path) -> None:
    api = APIServer()
    with story(tmp_path, api) as it:
        api.objects[f"GET {APPLICATION}"] = refusing(404, NOT_FOUND)
        assert it.cluster.fetch_application("shop-pr-42") is None
        for code, content in [
            (404, "404 page not found"),
            (404, status(404, "NotFound")),
            (404, {**NOT_FOUND, "kind": "Error"}),
            (200, "<html>sign in</html>"),
            (200, ["a list"]),
            (302, {}),
            (503, NOT_FOUND),
        ]:
            api.objects[f"GET {APPLICATION}"] = refusing(code, content)
            with pytest.raises(TransientError) as raised:
                it.cluster.fetch_application("shop-pr-42")
            assert raised.value.reason == "ClusterAnswer"


def test_a_list_that_is_none_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    api = APIServer()
    api.applications = [application(42, 5)]
    no_lists: list[object] = [{}, {"items": None, "metadata": {"resourceVersion": "1"}}, "x"]
    for content in [*no_lists, {"items": []}]:
        api.lists.put(refusing(200, content))
    with story(tmp_path, api) as it:
        it.start()
        assert it.next_change() == SHOP_42
        assert len(it.lists_of_applications()) == 5


def test_a_refresh_is_asked_for_by_annotation(tmp_path: Path) -> None:
    api = APIServer()
    with story(tmp_path, api) as it:
        api.objects[f"PATCH {APPLICATION}"] = refusing(200, application(42, 5))
        assert it.cluster.refresh_application("shop-pr-42")
        patch = it.server.asked[-1]
        assert patch.headers["content-type"] == "application/merge-patch+json"
        annotations = json.loads(patch.body)["metadata"]["annotations"]
        assert annotations.keys() == {"argocd.argoproj.io/refresh"}
        assert it.cluster.refresh_application("shop-pr-42")
        again = json.loads(it.server.asked[-1].body)["metadata"]["annotations"]
        assert again != annotations, "the same value again would be no event to Argo CD"
        api.objects[f"PATCH {APPLICATION}"] = refusing(404, NOT_FOUND)
        assert not it.cluster.refresh_application("shop-pr-42")
        api.objects[f"PATCH {APPLICATION}"] = refusing(403, status(403, "Forbidden", "no"))
        with pytest.raises(StalledError, match=r"may not patch applications\.argoproj\.io"):
            it.cluster.refresh_application("shop-pr-42")
        api.objects[f"PATCH {APPLICATION}"] = refusing(
            429, status(429, "TooManyRequests"), Retry_After="7"
        )
        with pytest.raises(TransientError) as raised:
            it.cluster.refresh_application("shop-pr-42")
        assert raised.value.retry_after_seconds == 7


@pytest.mark.fault(35)
def test_an_operation_is_ended_on_the_version_that_was_read_and_again_after_a_conflict(
    tmp_path: Path,
) -> None:
    api = APIServer()
    raw = application(42, 7, deletionTimestamp="2026-01-01T00:00:00Z")
    raw["operation"] = {"sync": {}}
    raw["status"]["operationState"] = {"phase": "Running"}
    answers = iter([(409, status(409, "Conflict")), (200, raw)])
    with story(tmp_path, api) as it:
        api.objects[f"GET {APPLICATION}"] = refusing(200, raw)
        api.objects[f"PATCH {APPLICATION}"] = lambda _asked, reply: reply.json(*next(answers))
        meant = it.cluster.fetch_application("shop-pr-42")
        assert meant is not None
        it.cluster.end_operation(meant)
        patches = [asked for asked in it.server.asked if asked.method == "PATCH"]
        assert [json.loads(patch.body) for patch in patches] == 2 * [
            {
                "metadata": {"uid": "u-42", "resourceVersion": "7"},
                "status": {"operationState": {"phase": "Terminating"}},
            }
        ]


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"deletionTimestamp": None}},
        {"metadata": {"uid": "another"}},
        {"metadata": {"labels": {}}},
        {"operation": None},
        {"status": None},
        {"status": {"operationState": {"phase": "Terminating"}}},
    ],
    ids=["not deleting", "another object", "not ours", "over", "not begun", "ending already"],
)
def test_no_other_operation_is_ended(tmp_path: Path, change: Raw) -> None:
    api = APIServer()
    raw = application(42, 7, deletionTimestamp="2026-01-01T00:00:00Z")
    raw["operation"] = {"sync": {}}
    raw["status"]["operationState"] = {"phase": "Running"}
    with story(tmp_path, api) as it:
        api.objects[f"GET {APPLICATION}"] = refusing(200, raw)
        meant = it.cluster.fetch_application("shop-pr-42")
        assert meant is not None
        metadata = {**raw["metadata"], **change.get("metadata", {})}
        changed = {**raw, **change, "metadata": {k: v for k, v in metadata.items() if v}}
        api.objects[f"GET {APPLICATION}"] = refusing(200, changed)
        it.cluster.end_operation(meant)
        api.objects[f"GET {APPLICATION}"] = refusing(404, NOT_FOUND)
        it.cluster.end_operation(meant)
        assert {asked.method for asked in it.server.asked} == {"GET"}


@pytest.mark.parametrize("content", [None, "", "a: [", "just text", "{}", "clusters: 3"])
def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    if content is not None:
        kubeconfig.write_text(content)
    with pytest.raises(ConfigurationError, match=r"no access to Kubernetes from .*kubeconfig"):
        KubernetesCluster(kubeconfig=kubeconfig, argocd_namespace="argocd", instance="acme")


def test_outside_a_cluster_there_is_no_service_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigurationError, match="from the pod's service account"):
        KubernetesCluster(kubeconfig=None, argocd_namespace="argocd", instance="acme")


def test_a_server_that_does_not_answer_in_time_is_said_to(tmp_path: Path) -> None:
    api = APIServer()
    api.objects[f"GET {APPLICATION}"] = lambda _asked, reply: reply.hang()
    with (
        story(tmp_path, api, ClusterTimes(read_seconds=0.2)) as it,
        pytest.raises(TransientError, match="does not answer: timed out") as raised,
    ):
        it.cluster.fetch_application("shop-pr-42")
    assert raised.value.reason == "ClusterUnreachable"
