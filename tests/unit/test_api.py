"""What the manager answers about itself and its previews."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from previews.domain.caps import Place
from previews.domain.lifetime import Anchor, Expiry, Facts, Said, Until, Wishes
from previews.domain.preview import (
    Condition,
    HeadSha,
    Image,
    Manifests,
    Mode,
    Phase,
    PreviewKey,
    Stage,
)
from previews.domain.record import Gone, HistoryEntry, PreviewRecord, Removal
from tests.fakes.api import ALLOWED, TOKEN, FakeAPI
from tests.pull_requests import PULL_REQUEST

NOON = datetime(2026, 11, 2, 12, 0, 0, 123456, tzinfo=UTC)
LIVE = PreviewRecord(
    key=PreviewKey("shop", 42),
    pull_request=replace(PULL_REQUEST, title="Half an emoji \ud83d and a \u202e"),
    phase=Phase.LIVE,
    reason="Live",
    message="200 OK",
    conditions=(Condition(type="Pushed", status=True, reason="Met", message="", since=NOON),),
)


class API(FakeAPI):
    def __init__(self, *, with_token: bool = True) -> None:
        super().__init__(with_token=with_token)
        self.client = TestClient(self.web)

    def get(self, path: str, **parameters: str | int) -> Any:  # noqa: ANN401 - whatever JSON says
        answer = self.client.get(f"/api/v1/previews{path}", params=parameters, headers=ALLOWED)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def api() -> API:
    return API()


def test_a_preview_is_shown_with_everything_that_is_known_of_it(api: API) -> None:
    api.store.save(LIVE)

    assert api.get("/shop/42") == {
        "project": "shop",
        "number": 42,
        "repository": "acme/shop",
        "title": "Half an emoji ? and a \u202e",
        "author": "octocat",
        "head_sha": "a" * 40,
        "pull_request_url": "https://forge.example/acme/shop/pull/42",
        "phase": "Live",
        "reason": "Live",
        "message": "200 OK",
        "remedy": "",
        "conditions": [
            {
                "type": "Pushed",
                "status": True,
                "reason": "Met",
                "message": "",
                "since": "2026-11-02T12:00:00.123456Z",
            }
        ],
        "url": "https://pr-42.preview.example/",
        "host": "pr-42.preview.example",
        "application": "shop-pr-42",
        "namespace": "preview-shop-pr-42",
        "created_at": None,
        "expiry": None,
        "pin": None,
        "mode": None,
        "asleep": None,
        "queue": None,
        "image": None,
        "database": None,
        "is_gone": False,
        "removal": None,
        "receipt": None,
    }


def test_a_preview_that_does_not_work_is_shown_with_what_to_do(api: API) -> None:
    api.store.save(replace(LIVE, phase=Phase.DEGRADED, reason="OutOfMemory", message="app"))
    assert api.get("/shop/42")["remedy"].startswith("Raise its memory limit")
    assert api.get("")["previews"][0]["remedy"].startswith("Raise its memory limit")


def test_the_lifetime_of_a_preview_is_shown_with_what_it_is_counted_from(api: API) -> None:
    now = api.clock.now()
    expiry = Expiry(
        at=now + timedelta(hours=5),
        anchor=Anchor.LAST_PUSH,
        anchored_at=now - timedelta(hours=19),
        ttl=timedelta(days=1),
        extended_by="ada",
        is_near=True,
    )
    asleep = Said(now, "nobody visited it")
    facts = Facts(created_at=now - timedelta(days=2), pushed_at=now, asleep=asleep)
    manifests = Manifests(Stage.WHOLE, "digest", HeadSha("a" * 40), {}, Mode.ASLEEP)
    api.store.save(replace(LIVE, expiry=expiry, facts=facts, manifests=manifests))
    pin = Until(now + timedelta(hours=1), now, "grace")
    api.store.save_wishes(LIVE.key, Wishes(pin=pin))

    shown = api.get("/shop/42")

    assert shown["expiry"] == {
        "at": "2026-11-02T13:30:00Z",
        "anchor": "last_push",
        "anchored_at": "2026-11-01T13:30:00Z",
        "ttl_seconds": 86400,
        "extended_by": "ada",
        "is_near": True,
    }
    assert shown["created_at"] == "2026-10-31T08:30:00Z"
    assert shown["mode"] == "Asleep"
    assert shown["asleep"] == {"since": "2026-11-02T08:30:00Z", "by": "nobody visited it"}
    assert shown["pin"] == {
        "until": "2026-11-02T09:30:00Z",
        "at": "2026-11-02T08:30:00Z",
        "by": "grace",
    }
    assert api.get("")["previews"] == [shown]

    api.clock.move(timedelta(hours=1))
    assert api.get("/shop/42")["pin"] is None


def test_a_preview_that_waits_for_its_place_says_where_it_stands(api: API) -> None:
    api.store.save(replace(LIVE, phase=Phase.QUEUED, queued_since=NOON))
    api.places[LIVE.key] = Place(3, "5 previews of project shop")

    assert api.get("/shop/42")["queue"] == {"number": 3, "full": "5 previews of project shop"}

    api.store.save(LIVE)
    assert api.get("/shop/42")["queue"] is None


def test_a_removal_is_shown_as_such_until_it_is_a_receipt(api: API) -> None:
    removal = Removal(cause="PullRequestClosed", by="previews", started_at=NOON)
    gone = Gone("Application", "shop-pr-42", NOON)
    api.store.save(replace(LIVE, phase=Phase.REMOVING, removal=replace(removal, gone=(gone,))))

    under_way = api.get("/shop/42")

    assert under_way["receipt"] is None
    assert under_way["is_gone"] is False
    assert under_way["removal"] == {
        "cause": "PullRequestClosed",
        "by": "previews",
        "started_at": "2026-11-02T12:00:00.123456Z",
        "finished_at": None,
        "gone": [
            {"kind": "Application", "name": "shop-pr-42", "at": "2026-11-02T12:00:00.123456Z"}
        ],
    }

    finished = replace(removal, gone=(gone,), finished_at=NOON)
    api.store.save(replace(LIVE, phase=Phase.REMOVED, removal=finished))
    over = api.get("/shop/42")
    assert over["removal"] is None
    assert over["is_gone"] is True
    assert over["receipt"] == {
        **under_way["removal"],
        "finished_at": "2026-11-02T12:00:00.123456Z",
    }


def test_the_history_of_a_preview_tells_who_did_what(api: API) -> None:
    api.store.save(LIVE, [HistoryEntry(NOON, "previews", "Deployed", "aaaaaaa")])
    api.actions.wake(LIVE.key, actor="ada")

    assert api.get("/shop/42/history") == {
        "history": [
            {
                "at": "2026-11-02T12:00:00.123456Z",
                "actor": "previews",
                "action": "Deployed",
                "detail": "aaaaaaa",
            },
            {"at": "2026-11-02T08:30:00Z", "actor": "ada", "action": "Wake", "detail": ""},
        ]
    }


def test_the_image_that_is_deployed_is_shown_with_its_digest(api: API) -> None:
    image = Image("registry.example/shop:pr-42-aaaaaaa", "sha256:" + "0f" * 32)
    manifests = Manifests(Stage.WHOLE, "digest", HeadSha("a" * 40), {}, image=image)
    api.store.save(replace(LIVE, manifests=manifests))
    assert api.get("/shop/42")["image"] == {"reference": image.reference, "digest": image.digest}
    undigested = replace(manifests, image=replace(image, digest=""))
    api.store.save(replace(LIVE, manifests=undigested))
    assert api.get("/shop/42")["image"] == {"reference": image.reference, "digest": None}


def test_what_is_not_known_is_null(api: API) -> None:
    api.store.save(PreviewRecord(key=PreviewKey("forgotten", 7)))

    shown = api.get("/forgotten/7")

    assert {name for name, value in shown.items() if value is None} == {
        "repository",
        "title",
        "author",
        "head_sha",
        "pull_request_url",
        "url",
        "host",
        "application",
        "namespace",
        "created_at",
        "expiry",
        "pin",
        "mode",
        "asleep",
        "queue",
        "image",
        "database",
        "removal",
        "receipt",
    }


def test_previews_are_listed_by_project_and_number(api: API) -> None:
    keys = [PreviewKey("shop", 10), PreviewKey("shop", 9), PreviewKey("api", 11)]
    for key in keys:
        api.store.save(replace(LIVE, key=key))

    listed = api.get("")

    assert [(p["project"], p["number"]) for p in listed["previews"]] == [
        ("api", 11),
        ("shop", 9),
        ("shop", 10),
    ]
    assert listed["next_cursor"] is None


def test_the_list_can_be_narrowed_by_project_and_phase(api: API) -> None:
    api.store.save(LIVE)
    api.store.save(PreviewRecord(key=PreviewKey("shop", 43), phase=Phase.REMOVED))
    api.store.save(PreviewRecord(key=PreviewKey("api", 44), phase=Phase.LIVE))

    assert [p["number"] for p in api.get("", project="shop")["previews"]] == [42, 43]
    assert [p["number"] for p in api.get("", phase="Live")["previews"]] == [44, 42]
    assert [p["number"] for p in api.get("", project="shop", phase="Live")["previews"]] == [42]
    assert api.get("", project="nothing") == {"previews": [], "next_cursor": None}


def test_a_long_list_comes_in_pages_that_miss_nothing(api: API) -> None:
    for number in range(1, 8):
        api.store.save(PreviewRecord(key=PreviewKey("shop", number)))

    seen: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get("", limit=3, **cursor)
        assert len(page["previews"]) <= 3
        seen += [preview["number"] for preview in page["previews"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert seen == list(range(1, 8))


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=x", "phase=Glowing", "cursor=shop", "cursor=%23", "cursor="],
)
def test_a_question_that_makes_no_sense_is_refused(api: API, query: str) -> None:
    answer = api.client.get(f"/api/v1/previews?{query}", headers=ALLOWED)

    assert (answer.status_code, answer.json()["reason"]) == (422, "InvalidRequest")
    assert query.partition("=")[0] in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/previews/shop/1", 404),
        ("/api/v1/previews/%2e%2e/1", 404),
        ("/api/v1/previews/shop/1/history", 404),
        ("/api/v1/previews/shop/0", 422),
        ("/api/v1/previews/shop/-1", 422),
        ("/api/v1/previews/shop/1e3", 422),
        (f"/api/v1/previews/shop/{10**10}", 422),
        (f"/api/v1/previews/shop/{'9' * 5000}", 422),
        ("/api/v1/nothing", 404),
    ],
)
def test_what_does_not_exist_is_not_found(api: API, path: str, status: int) -> None:
    answer = api.client.get(path, headers=ALLOWED)

    assert answer.status_code == status
    assert answer.json().keys() == {"reason", "message"}


@pytest.mark.parametrize(
    "authorization",
    [None, "", TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer ", f"Bearer {TOKEN}x", "Bearer th\u00e9"],
)
def test_without_the_token_nothing_is_told(api: API, authorization: str | None) -> None:
    api.store.save(LIVE)
    headers = [] if authorization is None else [(b"Authorization", authorization.encode("latin-1"))]

    for path in ("/api/v1/previews", "/api/v1/previews/shop/42"):
        answer = api.client.get(path, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "shop" not in answer.text


def test_an_empty_token_lets_nobody_in(api: API) -> None:
    api.token = ""

    answer = api.client.get("/api/v1/previews", headers={"Authorization": "Bearer "})

    assert answer.status_code == 401


def test_a_token_can_be_replaced_while_running(api: API) -> None:
    api.token = "new"

    assert api.client.get("/api/v1/previews", headers=ALLOWED).status_code == 401
    allowed = {"Authorization": "Bearer new"}
    assert api.client.get("/api/v1/previews", headers=allowed).status_code == 200


def test_without_a_configured_token_there_is_no_api() -> None:
    api = API(with_token=False)

    assert api.client.get("/api/v1/previews", headers=ALLOWED).status_code == 404
    assert api.client.get("/livez").status_code == 200


def test_a_store_that_is_out_of_order_is_said(api: API) -> None:
    api.store.unavailable = True

    answer = api.client.get("/api/v1/previews", headers=ALLOWED)

    assert (answer.status_code, answer.json()["reason"]) == (503, "StoreUnavailable")


def test_it_is_live_even_when_it_is_not_ready(api: API) -> None:
    assert api.client.get("/readyz").json() == {"ready": True, "missing": {}}
    assert api.client.get("/readyz").status_code == 200

    api.state["git"] = "https://git.example/gitops.git does not answer"

    answer = api.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "missing": {"git": "https://git.example/gitops.git does not answer"},
    }
    assert api.client.get("/livez").status_code == 200


def test_the_api_describes_itself_and_loads_nothing_from_elsewhere(api: API) -> None:
    description = api.client.get("/api/openapi.json").json()

    assert {"/livez", "/readyz", "/api/v1/previews"} <= description["paths"].keys()
    operations = [
        (path, operation)
        for path, methods in description["paths"].items()
        for operation in methods.values()
    ]
    assert all(
        operation["security"] and operation["responses"]["401"]
        for path, operation in operations
        if path.startswith("/api/")
    )
    names = [operation["operationId"] for _, operation in operations]
    assert len(names) == len(set(names))
    for path in ("/docs", "/redoc", "/api/docs"):
        assert api.client.get(path).status_code == 404
