"""What the manager answers about itself and its previews."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from previews.domain.naming import names_of
from previews.domain.preview import Condition, HeadSha, Phase, PreviewKey, PullRequest
from previews.domain.record import PreviewRecord
from previews.web import create_web
from previews.web.api import Address, api_router
from tests.fakes.store import InMemoryStore

TOKEN = "the token"
ALLOWED = {"Authorization": f"Bearer {TOKEN}"}
NOON = datetime(2026, 11, 2, 12, 0, 0, 123456, tzinfo=UTC)
LIVE = PreviewRecord(
    key=PreviewKey("shop", 42),
    pull_request=PullRequest(
        repository="acme/shop",
        number=42,
        is_open=True,
        head_sha=HeadSha("a" * 40),
        head_branch="feature",
        base_branch="main",
        title="Half an emoji \ud83d and a \u202e",
        author="octocat",
        url="https://forge.example/acme/shop/pull/42",
        from_fork=False,
    ),
    phase=Phase.LIVE,
    reason="Live",
    message="200 OK",
    conditions=(Condition(type="Pushed", status=True, reason="Met", message="", since=NOON),),
)


def describe(record: PreviewRecord) -> Address | None:
    if record.key.project == "forgotten":
        return None
    names = names_of(record.key, host_pattern="pr-{number}.preview.example")
    return Address(names=names, url=f"https://{names.host}/")


class API:
    def __init__(self, *, with_token: bool = True) -> None:
        self.store = InMemoryStore()
        self.token = TOKEN
        self.state: dict[str, str | None] = {"git": None, "forge": None}
        router = api_router(
            readiness=lambda: self.state,
            token=(lambda: self.token) if with_token else None,
            previews=self.store.list_records,
            load=self.store.load,
            describe=describe,
        )

        async def no_door(*_: object) -> None:
            raise NotImplementedError

        self.client = TestClient(create_web(door=no_door, routers=[router]))

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
    }


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
    assert api.client.get(f"/api/v1/previews?{query}", headers=ALLOWED).status_code == 422


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/previews/shop/1", 404),
        ("/api/v1/previews/%2e%2e/1", 404),
        ("/api/v1/previews/shop/0", 422),
        ("/api/v1/previews/shop/-1", 422),
        ("/api/v1/previews/shop/1e3", 422),
        (f"/api/v1/previews/shop/{10**10}", 422),
        (f"/api/v1/previews/shop/{'9' * 5000}", 422),
        ("/api/v1/nothing", 404),
    ],
)
def test_what_does_not_exist_is_not_found(api: API, path: str, status: int) -> None:
    assert api.client.get(path, headers=ALLOWED).status_code == status


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

    assert set(description["paths"]) == {
        "/livez",
        "/readyz",
        "/api/v1/previews",
        "/api/v1/previews/{project}/{number}",
    }
    for path in ("/docs", "/redoc", "/api/docs"):
        assert api.client.get(path).status_code == 404
