"""What CI and registries may say about images, over HTTP."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from previews.domain.images import NamedImage, image_name, path_of
from previews.domain.preview import HeadSha
from previews.web.images import NOTIFICATION_BYTES_MAX, pushed_paths
from tests.fakes.api import ALLOWED, IMAGES_TOKEN, FakeAPI

HEAD = "ab" * 20
DIGEST = "sha256:" + "0f" * 32
OF_CI = {"Authorization": f"Bearer {IMAGES_TOKEN}"}
ORDER = {"project": "shop", "head_sha": HEAD, "tag": "build-7"}
DISTRIBUTION = {
    "events": [
        {"action": "pull", "target": {"repository": "team/other", "tag": "t"}},
        {"action": "push", "target": {"repository": "team/shop", "tag": "t"}},
        {"action": "push", "target": {"repository": "team/api", "digest": DIGEST}},
    ]
}
HARBOR = {
    "type": "PUSH_ARTIFACT",
    "operator": "robot",
    "event_data": {
        "resources": [{"tag": "t", "resource_url": "harbor.example/team/shop:t"}],
        "repository": {"name": "shop", "namespace": "team", "repo_full_name": "team/shop"},
    },
}
DOCKER_HUB = {
    "push_data": {"tag": "t", "pusher": "octocat"},
    "repository": {"repo_name": "team/shop", "namespace": "team", "name": "shop"},
}


class API(FakeAPI):
    def __init__(self, *, with_token: bool = True) -> None:
        super().__init__(with_token=with_token)
        self.client = TestClient(self.web)

    def name(self, order: object, headers: Mapping[str, str] = OF_CI) -> Response:
        return self.client.post("/api/v1/images", json=order, headers=dict(headers))

    def notify(self, body: bytes, headers: Mapping[str, str] = OF_CI, query: str = "") -> Response:
        sent = {"Content-Type": "application/vnd.docker.distribution.events.v1+json", **headers}
        return self.client.post(f"/webhooks/registry{query}", content=body, headers=sent)


@pytest.fixture
def api() -> API:
    return API()


@pytest.mark.parametrize("headers", [OF_CI, ALLOWED])
def test_ci_says_what_an_image_is_called_with_its_own_token_or_the_apis(
    api: API, headers: dict[str, str]
) -> None:
    answer = api.name({**ORDER, "digest": DIGEST}, headers)

    assert (answer.status_code, answer.json()) == (202, {"previews": []})
    assert api.store.named_image("shop", HeadSha(HEAD)) == NamedImage(
        project="shop",
        head_sha=HeadSha(HEAD),
        tag="build-7",
        digest=DIGEST,
        named_at=api.clock.now(),
    )


def test_cis_token_opens_nothing_else(api: API) -> None:
    assert api.client.get("/api/v1/previews", headers=OF_CI).status_code == 401
    assert api.client.get("/metrics", headers=OF_CI).status_code == 401
    assert api.name(ORDER, {"Authorization": "Bearer wrong"}).status_code == 401
    assert api.name(ORDER, {}).status_code == 401
    assert api.notify(b"{}", ALLOWED).status_code == 401
    assert api.client.post(f"/api/v1/images?token={IMAGES_TOKEN}", json=ORDER).status_code == 401
    assert api.store.writes == 0


def test_an_empty_token_file_lets_nobody_in(api: API) -> None:
    api.images_token = ""
    assert api.name(ORDER, {"Authorization": "Bearer "}).status_code == 401
    assert api.notify(b"{}", {"Authorization": "Bearer "}).status_code == 401
    assert api.notify(b"{}", {}, "?token=").status_code == 401


def test_without_any_token_there_is_nothing() -> None:
    api = API(with_token=False)
    assert api.name(ORDER).status_code == 404
    assert api.notify(b"{}").status_code == 404


@pytest.mark.parametrize(
    ("project", "status", "reason"),
    [("nobody", 404, "UnknownProject"), ("docs", 409, "NoImageConfigured")],
)
def test_a_project_that_has_no_image_is_refused(
    api: API, project: str, status: int, reason: str
) -> None:
    answer = api.name({**ORDER, "project": project})
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


@pytest.mark.parametrize(
    "changes",
    [
        {"tag": None},
        {"tag": ""},
        {"tag": "-x"},
        {"tag": "a b"},
        {"tag": "t\n"},
        {"tag": "t@" + DIGEST},
        {"tag": "x" * 129},
        {"tag": 7},
        {"digest": "sha256:0f"},
        {"digest": DIGEST.upper()},
        {"digest": DIGEST + "\n"},
        {"digest": "md5:" + "0" * 32},
        {"head_sha": "abc1234"},
        {"head_sha": HEAD.upper()},
        {"head_sha": HEAD + "\n"},
        {"project": ""},
        {"project": "x" * 101},
        {"repository": "registry.example/evil"},
    ],
)
def test_what_is_no_name_of_an_image_is_refused(api: API, changes: dict[str, Any]) -> None:
    answer = api.name({**ORDER, **changes})
    assert (answer.status_code, answer.json()["reason"]) == (422, "InvalidRequest")
    assert api.store.writes == 0


@pytest.mark.parametrize(
    ("said", "paths"),
    [
        (DISTRIBUTION, {"team/shop", "team/api"}),
        (HARBOR, {"team/shop"}),
        (DOCKER_HUB, {"team/shop"}),
        ({**HARBOR, "type": "PULL_ARTIFACT"}, set()),
        ({"events": [{"action": "push", "target": {"repository": 7}}]}, set()),
        ({"events": 7}, set()),
        ({"events": [7]}, set()),
        ({"type": "PUSH_ARTIFACT"}, set()),
        ({"push_data": {}, "repository": []}, set()),
        ([], set()),
        (None, set()),
    ],
)
def test_what_registries_say_of_a_push(api: API, said: object, paths: set[str]) -> None:
    body = json.dumps(said).encode()
    answer = api.notify(body)
    assert set(pushed_paths(body)) == paths
    assert answer.status_code == 202
    assert answer.json() == {"verdict": "accepted" if paths else "ignored"}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 200_000])
def test_what_is_no_message_is_taken_and_ignored(api: API, body: bytes) -> None:
    answer = api.notify(body)
    assert (answer.status_code, answer.json()) == (202, {"verdict": "ignored"})


def test_a_message_that_is_too_long_is_refused(api: API) -> None:
    assert api.notify(b"x" * (NOTIFICATION_BYTES_MAX + 1)).status_code == 413


def test_a_registry_that_can_set_no_header_says_the_token_in_the_address(api: API) -> None:
    body = json.dumps(DOCKER_HUB).encode()
    assert api.notify(body, {}, f"?token={IMAGES_TOKEN}").json() == {"verdict": "accepted"}
    assert api.notify(body, {}, "?token=wrong").status_code == 401


@pytest.mark.parametrize(
    ("repository", "path"),
    [
        ("registry.example/team/shop", "team/shop"),
        ("registry.example:5000/shop", "shop"),
        ("localhost/shop", "shop"),
        ("docker.io/nginx", "library/nginx"),
        ("docker.io/team/shop", "team/shop"),
        ("team/shop", "team/shop"),
    ],
)
def test_the_path_of_a_repository_is_as_its_registry_tells_it(repository: str, path: str) -> None:
    assert path_of(repository) == path


def test_an_image_is_called_as_a_pod_calls_it() -> None:
    assert image_name("r/shop", "t", "") == "r/shop:t"
    assert image_name("r/shop", "t", DIGEST) == f"r/shop:t@{DIGEST}"
    assert image_name("r/shop", "", DIGEST) == f"r/shop@{DIGEST}"
