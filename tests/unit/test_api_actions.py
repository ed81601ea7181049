"""What people do through the API: kept with their name, or refused with a reason and nothing changed."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from previews.domain.brake import BrakeState
from previews.domain.inventory import Found, Kind, OwnedObject, Verdict
from previews.domain.lifetime import Approval, LifetimePolicy, Until, Wishes
from previews.domain.preview import Phase, PreviewKey
from previews.domain.record import PreviewRecord
from previews.web.api import BODY_LIMIT_BYTES
from tests.fakes.api import ALLOWED, FakeAPI
from tests.pull_requests import PULL_REQUEST

KEY = PreviewKey("shop", 42)
DAY = timedelta(days=1)
LIVE = PreviewRecord(
    key=KEY,
    pull_request=PULL_REQUEST,
    phase=Phase.LIVE,
    reason="Live",
)
SIMPLE_VERBS = ("ask", "unpin", "sleep", "wake", "redeploy", "remove")
EVERY_ROUTE = (
    *(f"/previews/shop/42/{verb}" for verb in ("extend", "pin", *SIMPLE_VERBS)),
    "/previews/remove-all",
    "/projects/gone/drain",
    "/brake/confirm",
    "/collect",
)
ORPHAN = Found(
    owned=OwnedObject(kind=Kind.NAMESPACE, name="preview-shop-pr-7", owner=PreviewKey("shop", 7)),
    verdict=Verdict.ORPHAN,
    cause="acme/shop#7 is closed",
)
DECOY = Found(
    owned=OwnedObject(kind=Kind.NAMESPACE, name="preview-else-pr-7"), verdict=Verdict.NOT_OURS
)


class API(FakeAPI):
    def __init__(self) -> None:
        super().__init__()
        self.client = TestClient(self.web)
        self.policies["shop"] = LifetimePolicy(ttl=3 * DAY)
        self.store.save(LIVE)

    def post(self, path: str, **body: object) -> httpx2.Response:
        return self.client.post(f"/api/v1{path}", json=body, headers=ALLOWED)

    def send(self, path: str, body: bytes) -> httpx2.Response:
        headers = {**ALLOWED, "Content-Type": "application/json"}
        return self.client.post(f"/api/v1{path}", content=body, headers=headers)

    def ask(self, verb: str, **body: object) -> httpx2.Response:
        return self.post(f"/previews/shop/42/{verb}", **{"actor": "ada", **body})

    @property
    def wishes(self) -> Wishes:
        return self.store.load_wishes(KEY)


@pytest.fixture
def api() -> API:
    return API()


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    body: Mapping[str, str] = answer.json()
    assert body.keys() == {"reason", "message"}
    assert body["message"]
    return answer.status_code, body["reason"]


@pytest.mark.parametrize("verb", SIMPLE_VERBS)
def test_a_wish_is_kept_with_its_author_and_answered_with_the_preview(api: API, verb: str) -> None:
    answer = api.ask(verb)

    assert answer.status_code == 202
    assert (answer.json()["project"], answer.json()["number"]) == ("shop", 42)
    (entry,) = api.store.history(KEY)
    assert (entry.actor, entry.action.lower()) == ("ada", verb)
    assert api.queued == [KEY]


def test_a_preview_is_extended_by_what_was_asked_for(api: API) -> None:
    assert api.ask("extend", **{"for": "36h"}).status_code == 202

    now = api.clock.now()
    assert api.wishes.extension == Until(now + timedelta(hours=36), now, "ada")


def test_an_approval_is_of_the_commit_that_was_named(api: API) -> None:
    pull_request = LIVE.pull_request
    assert pull_request is not None
    api.store.save(replace(LIVE, pull_request=replace(pull_request, from_fork=True)))
    assert api.ask("approve", head_sha=pull_request.head_sha).status_code == 202
    assert api.wishes.approval == Approval(pull_request.head_sha, api.clock.now(), "ada")


def test_a_commit_that_is_not_the_present_one_cannot_be_approved(api: API) -> None:
    pull_request = LIVE.pull_request
    assert pull_request is not None
    api.store.save(replace(LIVE, pull_request=replace(pull_request, from_fork=True)))
    assert refusal(api.ask("approve", head_sha="f" * 40)) == (409, "PushCameAfter")
    assert api.ask("approve", head_sha="main").status_code == 422
    assert api.wishes.approval is None


def test_a_pin_is_for_a_time_or_for_as_long_as_may_be(api: API) -> None:
    now = api.clock.now()

    assert api.ask("pin", **{"for": "7d"}).json()["pin"]["until"] == "2026-11-09T08:30:00Z"
    assert api.wishes.pin == Until(now + 7 * DAY, now, "ada")
    for longest in ({}, {"for": None}):
        assert api.ask("pin", **longest).status_code == 202
        assert api.wishes.pin == Until(now + 30 * DAY, now, "ada")


def test_what_is_beyond_the_limit_is_refused_with_the_limit(api: API) -> None:
    for verb in ("extend", "pin"):
        answer = api.ask(verb, **{"for": "31d"})
        assert refusal(answer) == (422, "BeyondLimit")
        assert "at most 30d" in answer.json()["message"]
    assert api.wishes == Wishes()


def test_what_cannot_be_as_things_stand_is_refused(api: API) -> None:
    closed = replace(LIVE.pull_request, is_open=False) if LIVE.pull_request else None
    api.store.save(replace(LIVE, pull_request=closed))
    assert refusal(api.ask("pin")) == (409, "PullRequestClosed")

    api.store.save(replace(LIVE, phase=Phase.EXPIRED))
    assert refusal(api.ask("sleep")) == (409, "PreviewEnded")
    assert api.wishes == Wishes()


@pytest.mark.parametrize("verb", SIMPLE_VERBS)
def test_an_unknown_preview_is_not_found(api: API, verb: str) -> None:
    answer = api.post(f"/previews/shop/7/{verb}", actor="ada")

    assert refusal(answer) == (404, "UnknownPreview")


@pytest.mark.parametrize(
    "actor",
    [
        None,
        "",
        "  ",
        7,
        "a" * 81,
        "ada\nforged: line",
        "ada\x1b[2J",
        "\u202eada",
        "half an emoji \ud83d",
        "previews",
        "A visitor",
    ],
)
def test_nobody_acts_without_a_name_that_can_be_shown(api: API, actor: object) -> None:
    answer = api.send("/previews/shop/42/wake", json.dumps({"actor": actor}).encode())

    assert refusal(answer) == (422, "InvalidRequest")
    assert "actor: " in answer.json()["message"]
    assert api.wishes == Wishes()


def test_no_route_lets_anybody_act_without_a_name(api: API) -> None:
    for route in EVERY_ROUTE:
        for body in ({}, {"actor": "ada\nforged: line"}):
            answer = api.post(route, **{"for": "1h", "dry_run": True, **body})
            assert refusal(answer) == (422, "InvalidRequest")
            assert "actor: " in answer.json()["message"]
    assert api.store.history(KEY) == []


def test_a_name_is_kept_as_it_was_given_but_for_the_space_around_it(api: API) -> None:
    api.ask("wake", actor="  Zoë O'Neil 王 ")

    assert api.store.history(KEY)[0].actor == "Zoë O'Neil 王"


@pytest.mark.parametrize("length", ["", "3", "3w", "-3d", 3, [], None, "9" * 500 + "d"])
def test_what_is_no_length_of_time_is_refused(api: API, length: object) -> None:
    answer = api.ask("extend", **{"for": length})

    assert refusal(answer) == (422, "InvalidRequest")
    assert "for: must be a duration such as 30s" in answer.json()["message"]


def test_an_extension_by_nothing_is_refused(api: API) -> None:
    assert refusal(api.ask("extend", **{"for": "0s"})) == (422, "NoLength")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"ada"', b'{"actor": "ada", "froce": true}'])
def test_a_body_that_makes_no_sense_is_refused(api: API, body: bytes) -> None:
    answer = api.send("/previews/shop/42/remove", body)

    assert refusal(answer) == (422, "InvalidRequest")
    assert api.wishes == Wishes()


def test_a_body_of_more_than_an_order_needs_is_refused(api: API) -> None:
    answer = api.ask("remove", filler="x" * BODY_LIMIT_BYTES)

    assert answer.status_code == 413
    assert api.wishes == Wishes()


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic the token"])
def test_without_the_token_nothing_is_done_and_no_body_is_read(
    api: API, authorization: str
) -> None:
    for route in EVERY_ROUTE:
        answer = api.client.post(
            f"/api/v1{route}", content=b"{", headers={"Authorization": authorization}
        )
        assert refusal(answer) == (401, "Unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_look_does_nothing(api: API) -> None:
    for route in EVERY_ROUTE:
        assert api.client.get(f"/api/v1{route}", headers=ALLOWED).status_code in {404, 405}
    assert api.wishes == Wishes()


def test_a_page_elsewhere_that_has_a_browser_post_a_form_does_nothing(api: API) -> None:
    headers = {**ALLOWED, "Content-Type": "text/plain"}
    body = json.dumps({"actor": "ada"})

    answer = api.client.post("/api/v1/previews/shop/42/remove", content=body, headers=headers)

    assert refusal(answer) == (422, "InvalidRequest")
    assert api.wishes == Wishes()


def test_a_store_that_is_out_of_order_keeps_no_wish_and_says_so(api: API) -> None:
    api.store.unavailable = True
    assert refusal(api.ask("remove")) == (503, "StoreUnavailable")

    api.store.unavailable = False
    assert api.wishes == Wishes()


def test_everything_is_removed_and_said(api: API) -> None:
    api.store.save(replace(LIVE, key=PreviewKey("shop", 43), phase=Phase.REMOVED))

    answer = api.post("/previews/remove-all", actor="ada")

    assert (answer.status_code, answer.json()) == (202, {"previews": ["shop#42"]})
    assert api.wishes.removal is not None


def test_a_project_is_drained_once_it_is_out_of_the_configuration(api: API) -> None:
    api.store.save(replace(LIVE, key=PreviewKey("old", 1)))

    assert refusal(api.post("/projects/shop/drain", actor="ada")) == (409, "ProjectConfigured")
    assert api.post("/projects/old/drain", actor="ada").json() == {"previews": ["old#1"]}
    (entry,) = api.store.history(PreviewKey("old", 1))
    assert (entry.actor, entry.action) == ("ada", "Drain")


def test_the_brake_shows_what_it_holds_and_lets_go_what_was_confirmed(api: API) -> None:
    other = PreviewKey("shop", 43)
    api.store.save(replace(LIVE, key=other))
    held = ((KEY, "Expired"), (other, "PullRequestClosed"))
    api.brake = BrakeState(holds=True, held=held, begun=3, allowed=10, window_seconds=600)

    assert api.client.get("/api/v1/brake", headers=ALLOWED).json() == {
        "holds": True,
        "held": [
            {"preview": "shop#42", "cause": "Expired"},
            {"preview": "shop#43", "cause": "PullRequestClosed"},
        ],
        "begun": 3,
        "allowed": 10,
        "window_seconds": 600,
        "rewrites_waiting": 0,
        "rewrites_failing": 0,
    }

    seen = ["shop#42", "shop#7"]
    answer = api.post("/brake/confirm", actor="ada", previews=seen)
    assert (answer.status_code, answer.json()) == (202, {"previews": ["shop#42"]})
    assert api.store.load_wishes(other) == Wishes()

    assert api.post("/brake/confirm", actor="ada").json() == {"previews": ["shop#42", "shop#43"]}
    assert api.store.load_wishes(other).confirmation is not None
    assert api.went_on == 2


def test_a_sweep_for_show_removes_nothing(api: API) -> None:
    api.collector.found = [ORPHAN, DECOY]

    shown = api.post("/collect", actor="ada", dry_run=True).json()

    (orphan,) = shown["orphans"]
    assert shown["planned"] == [orphan]
    assert shown["removed"] == []
    assert orphan == {
        "kind": "Namespace",
        "name": "preview-shop-pr-7",
        "preview": "shop#7",
        "shard": None,
        "created_at": None,
        "verdict": "Orphan",
        "cause": "acme/shop#7 is closed",
        "orphan_since": None,
        "waits": None,
    }
    assert api.post("/collect", actor="ada", dry_run=False).json()["removed"] == [orphan]
    assert api.collector.found == [DECOY]


def test_whether_a_sweep_removes_anything_has_to_be_said(api: API) -> None:
    api.collector.found = [ORPHAN]

    assert refusal(api.post("/collect", actor="ada")) == (422, "InvalidRequest")
    assert api.collector.found == [ORPHAN]


def test_a_sweep_that_is_held_goes_on_when_a_person_confirms(api: API) -> None:
    api.collector.found, api.collector.held = [ORPHAN], "too many at once"

    held = api.post("/collect", actor="ada", dry_run=False).json()
    assert (held["held"], held["needs_confirmation"], held["removed"]) == (
        "too many at once",
        True,
        [],
    )

    confirmed: dict[str, Any] = api.post(
        "/collect", actor="ada", dry_run=False, confirmed=True
    ).json()
    assert (confirmed["held"], len(confirmed["removed"])) == (None, 1)


def test_the_inventory_shows_what_is_ours_and_what_is_not(api: API) -> None:
    api.collector.found = [ORPHAN, DECOY]

    shown = api.client.get("/api/v1/inventory", headers=ALLOWED).json()

    assert [(thing["name"], thing["verdict"]) for thing in shown["things"]] == [
        ("preview-shop-pr-7", "Orphan"),
        ("preview-else-pr-7", "NotOurs"),
    ]
