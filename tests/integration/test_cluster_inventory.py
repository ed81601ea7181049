"""The inventory and its deletions against an API server that misbehaves: what is not whole is no inventory."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from previews.adapters.cluster import ATTEMPTS_AT_CONFLICTS, KubernetesCluster
from previews.adapters.kubernetes_api import ClusterTimes
from previews.domain.inventory import Kind, OwnedObject
from previews.domain.preview import PreviewKey
from previews.errors import PreviewsError, StalledError, TransientError
from tests.integration.scripted_http import Asked, Reply, ScriptedServer
from tests.kubeconfig import write_kubeconfig

Raw = dict[str, Any]
Behaviour = Callable[[Reply], None]

NAMESPACES = "/api/v1/namespaces"
FOUND = OwnedObject(kind=Kind.NAMESPACE, name="n42", uid="u-n42", owner=PreviewKey("shop", 42))
IMPATIENT = ClusterTimes(connect_seconds=1.0, read_seconds=0.3)


def namespace(name: str = "n42", *, version: int = 7, **metadata: object) -> Raw:
    marks = {"previews.dev/instance": "acme", "previews.dev/project": "shop", "pr": "42"}
    return {
        "metadata": {
            "name": name,
            "uid": f"u-{name}",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": marks,
            **metadata,
        }
    }


def page(*items: Raw, **metadata: object) -> Raw:
    return {
        "kind": "PartialObjectMetadataList",
        "metadata": {"resourceVersion": "9", **metadata},
        "items": list(items) or None,
    }


def status(code: int, reason: str, **details: str) -> Raw:
    return {"kind": "Status", "reason": reason, "message": "no", "code": code, "details": details}


class Script:
    """Lists nothing but what `says` has for a path; the last answer of a path is repeated."""

    def __init__(self) -> None:
        self.says: dict[str, list[Behaviour]] = defaultdict(list)

    def answer(self, asked: Asked, reply: Reply) -> None:
        found = self.says[f"{asked.method} {asked.path}"]
        if not found:
            reply.json(200, page())
        else:
            (found.pop(0) if len(found) > 1 else found[0])(reply)


class API:
    """An API server with a script, and the manager's adapter before it."""

    def __init__(self, script: Script, server: ScriptedServer, directory: Path) -> None:
        self._script = script
        self._server = server
        kubeconfig = write_kubeconfig(directory / "kubeconfig", server.url)
        self.cluster = KubernetesCluster(
            kubeconfig=kubeconfig, argocd_namespace="argocd", instance="acme", times=IMPATIENT
        )

    def say(self, request: str, *answers: Behaviour) -> None:
        self._script.says[request] += answers

    def asked(self, method: str) -> list[Asked]:
        return [asked for asked in self._server.asked if asked.method == method]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[API]:
    script = Script()
    with ScriptedServer(script.answer) as server:
        yield API(script, server, tmp_path)


def saying(code: int, content: object, **headers: str) -> Behaviour:
    return lambda reply: reply.json(code, content, **headers)


def test_every_kind_is_asked_for_by_label_and_without_its_content(api: API) -> None:
    api.say(f"GET {NAMESPACES}", saying(200, page(namespace())))
    (found,) = api.cluster.owned_objects()
    assert found.identity == FOUND.identity
    asked = api.asked("GET")
    assert [each.path.rpartition("/")[2] for each in asked] == [
        "namespaces",
        "appprojects",
        "configmaps",
        "applications",
    ]
    for each in asked:
        assert each.query["labelSelector"] == "previews.dev/instance=acme"
        assert "PartialObjectMetadataList" in each.headers["accept"]


def test_an_object_of_another_manager_is_not_taken_even_if_it_is_listed(api: API) -> None:
    foreign = namespace(labels={"previews.dev/instance": "else", "previews.dev/project": "shop"})
    bare = namespace("bare", labels={})
    api.say(f"GET {NAMESPACES}", saying(200, page(foreign, bare)))
    assert api.cluster.owned_objects() == []


FALSE_READS: dict[str, Behaviour] = {
    "500": saying(500, status(500, "InternalError")),
    "503": saying(503, status(503, "ServiceUnavailable")),
    "429": saying(429, status(429, "TooManyRequests"), Retry_After="3"),
    "403": saying(403, status(403, "Forbidden")),
    "404": saying(404, status(404, "NotFound")),
    "410": saying(410, status(410, "Expired")),
    "html": lambda reply: reply.send(200, b"<html>log in</html>", Content_Type="text/html"),
    "[]": saying(200, []),
    "{}": saying(200, {}),
    "null": saying(200, {"kind": "List", "metadata": {"resourceVersion": "9"}, "items": None}),
    "no version": saying(200, {"metadata": {}, "items": []}),
    "cut short": lambda reply: reply.send(200, b'{"items": [', Content_Length="900"),
    "fewer than there are": saying(200, page(namespace(), remainingItemCount=5)),
    "nothing": lambda reply: reply.hang(),
}


@pytest.mark.parametrize("place", ["the first page", "a later page"])
@pytest.mark.parametrize("false", FALSE_READS.values(), ids=FALSE_READS)
def test_a_list_that_is_not_whole_is_none(api: API, place: str, false: Behaviour) -> None:
    if place == "a later page":
        first = page(namespace("n1"), **{"continue": "more"})
        api.say(f"GET {NAMESPACES}", saying(200, first))
    api.say(f"GET {NAMESPACES}", false)
    with pytest.raises(PreviewsError):
        api.cluster.owned_objects()


def test_a_deletion_names_the_object_as_it_was_read(api: API) -> None:
    api.say(f"GET {NAMESPACES}/n42", saying(200, namespace(version=7)))
    api.say(f"DELETE {NAMESPACES}/n42", saying(202, namespace()))
    assert api.cluster.delete_object(FOUND)
    (sent,) = api.asked("DELETE")
    options = json.loads(sent.body)
    assert options["preconditions"] == {"uid": "u-n42", "resourceVersion": "7"}
    assert options["propagationPolicy"] == "Background"


def test_what_changes_all_the_time_is_tried_again_and_not_for_ever(api: API) -> None:
    api.say(f"GET {NAMESPACES}/n42", saying(200, namespace()))
    api.say(f"DELETE {NAMESPACES}/n42", saying(409, status(409, "Conflict")))
    with pytest.raises(TransientError, match="delete namespaces"):
        api.cluster.delete_object(FOUND)
    assert len(api.asked("DELETE")) == ATTEMPTS_AT_CONFLICTS


@pytest.mark.parametrize(
    "then",
    [
        saying(200, namespace(uid="another")),
        saying(200, namespace(labels={"previews.dev/instance": "else"})),
        saying(200, namespace(deletionTimestamp="2026-01-02T00:00:00Z")),
        saying(404, status(404, "NotFound", name="n42")),
    ],
    ids=["another", "somebody else's", "about to go", "gone"],
)
def test_after_a_conflict_it_is_looked_at_anew(api: API, then: Behaviour) -> None:
    api.say(f"GET {NAMESPACES}/n42", saying(200, namespace()), then)
    api.say(f"DELETE {NAMESPACES}/n42", saying(409, status(409, "Conflict")))
    assert not api.cluster.delete_object(FOUND)
    assert len(api.asked("DELETE")) == 1


def test_what_went_between_look_and_deletion_was_not_deleted(api: API) -> None:
    api.say(f"GET {NAMESPACES}/n42", saying(200, namespace()))
    api.say(f"DELETE {NAMESPACES}/n42", saying(404, status(404, "NotFound", name="n42")))
    assert not api.cluster.delete_object(FOUND)


def test_what_the_policy_refuses_is_told_in_its_words(api: API) -> None:
    refused = {**status(403, "Forbidden"), "message": "ValidatingAdmissionPolicy denied request"}
    api.say(f"GET {NAMESPACES}/n42", saying(200, namespace()))
    api.say(f"DELETE {NAMESPACES}/n42", saying(403, refused))
    with pytest.raises(StalledError, match="ValidatingAdmissionPolicy") as raised:
        api.cluster.delete_object(FOUND)
    assert raised.value.reason == "ClusterForbidden"


def test_an_answer_that_is_lost_is_no_answer(api: API) -> None:
    api.say(f"GET {NAMESPACES}/n42", saying(200, namespace()))
    api.say(f"DELETE {NAMESPACES}/n42", lambda reply: reply.break_off())
    with pytest.raises(TransientError):
        api.cluster.delete_object(FOUND)
