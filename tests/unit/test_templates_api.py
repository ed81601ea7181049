"""Golden templates through the API."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from previews.domain.database import Template
from previews.errors import ActionRefusedError
from previews.reconcile.template_refresh import Shown
from previews.web.refusals import answer_refusals
from previews.web.templates import template_router
from tests.fakes.clock import ManualClock


class FakeTemplates:
    def __init__(self) -> None:
        self.standing: list[Shown] = []
        self.asked: list[tuple[str, str, str]] = []

    def shown(self) -> list[Shown]:
        return self.standing

    def ask(self, server: str, template: str, *, actor: str) -> None:
        if template == "absent":
            raise ActionRefusedError("UnknownTemplate", "there is none")
        self.asked.append((server, template, actor))


class Site:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.templates = FakeTemplates()
        web = FastAPI()
        web.include_router(template_router(self.templates, self.clock), prefix="/api/v1")
        answer_refusals(web)
        self.client = TestClient(web)


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_template_is_shown_with_size_age_and_users(site: Site) -> None:
    found = Template(
        name="golden",
        built_at=site.clock.now() - timedelta(hours=1),
        size_bytes=7_000_000,
        users=3,
        warm=2,
    )
    site.templates.standing = [Shown(server="main", name="golden", template=found)]
    assert site.client.get("/api/v1/templates").json() == {
        "templates": [
            {
                "name": "golden",
                "server": "main",
                "built_at": "2026-11-02T07:30:00Z",
                "age_seconds": 3600,
                "size_bytes": 7_000_000,
                "users": 3,
                "warm": 2,
                "is_building": False,
                "problem": None,
            }
        ]
    }


def test_one_that_is_not_there_is_shown_with_what_is_wrong(site: Site) -> None:
    site.templates.standing = [
        Shown(server="main", name="golden", is_building=True, problem="main cannot be reached")
    ]
    [view] = site.client.get("/api/v1/templates").json()["templates"]
    assert (view["built_at"], view["age_seconds"], view["users"]) == (None, None, None)
    assert (view["is_building"], view["problem"]) == (True, "main cannot be reached")


def test_a_new_build_is_asked_for_by_name(site: Site) -> None:
    answer = site.client.post("/api/v1/templates/main/golden/refresh", json={"actor": "monalisa"})
    assert answer.status_code == 202
    assert site.templates.asked == [("main", "golden", "monalisa")]


def test_nobody_asks_without_a_name(site: Site) -> None:
    assert site.client.post("/api/v1/templates/main/golden/refresh", json={}).status_code == 422
    assert site.templates.asked == []


def test_one_that_cannot_be_built_is_refused(site: Site) -> None:
    answer = site.client.post("/api/v1/templates/main/absent/refresh", json={"actor": "monalisa"})
    assert answer.json() == {"reason": "UnknownTemplate", "message": "there is none"}
