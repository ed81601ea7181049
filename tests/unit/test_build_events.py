"""What the door makes of events about CI and packages: a reason to look at who waits, and nothing else."""

import json

import pytest

from previews.domain.preview import HeadSha
from previews.web.builds import BuildNews
from tests.unit.knocking import REPOSITORY, Door

HEAD = HeadSha("ab" * 20)


def payload(**said: object) -> bytes:
    return json.dumps({"repository": {"full_name": REPOSITORY}, **said}).encode()


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.mark.parametrize("event", ["workflow_run", "workflow_job", "check_run", "check_suite"])
def test_a_run_is_about_the_pull_requests_that_it_names(door: Door, event: str) -> None:
    run = {"head_sha": HEAD, "pull_requests": [{"number": 2}, {"number": 3, "id": 7}]}

    answer = door.deliver(payload(action="completed", **{event: run}), event=event)

    assert (answer.status_code, answer.json()["verdict"]) == (202, "accepted")
    assert door.heard == [BuildNews(repository=REPOSITORY, numbers=(2, 3), head_sha=HEAD)]
    # No pull request is read again for it.
    assert door.marked == []


@pytest.mark.parametrize("named", [[], None])
def test_a_run_of_a_fork_is_about_its_commit(door: Door, named: object) -> None:
    run = {"head_sha": HEAD, "pull_requests": named}
    door.deliver(payload(workflow_run=run), event="workflow_run")
    assert door.heard == [BuildNews(repository=REPOSITORY, head_sha=HEAD)]


def test_a_status_is_about_its_commit(door: Door) -> None:
    door.deliver(payload(sha=HEAD, context="CI / build", state="success"), event="status")
    assert door.heard == [BuildNews(repository=REPOSITORY, head_sha=HEAD)]


def test_a_status_that_a_manager_set_is_no_news(door: Door) -> None:
    answer = door.deliver(payload(sha=HEAD, context="preview/shop"), event="status")
    assert answer.json()["verdict"] == "ignored"
    assert door.heard == []


@pytest.mark.parametrize("event", ["package", "registry_package"])
def test_a_package_is_about_an_image_repository(door: Door, event: str) -> None:
    package = {"name": "Shop", "namespace": "Acme", "package_type": "CONTAINER"}
    door.deliver(payload(action="published", **{event: package}), event=event)
    assert door.heard == [BuildNews(image_path="acme/shop")]


def test_a_run_elsewhere_is_ignored(door: Door) -> None:
    body = json.dumps({"repository": {"full_name": "acme/else"}, "sha": HEAD}).encode()
    assert door.deliver(body, event="status").json()["verdict"] == "ignored"
    assert door.heard == []


def test_an_event_that_is_repeated_is_no_news(door: Door) -> None:
    for _ in range(2):
        door.deliver(payload(sha=HEAD), event="status")
    assert len(door.heard) == 1


def test_an_unsigned_event_is_no_news(door: Door) -> None:
    answer = door.deliver(payload(sha=HEAD), event="status", secret="another")
    assert answer.status_code == 401
    assert door.heard == []


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("status", payload()),
        ("status", payload(sha="abc")),
        ("status", payload(sha=7)),
        ("status", b"[]"),
        ("check_run", payload(check_run=None)),
        ("check_run", payload(check_run=7)),
        ("check_run", payload(check_run={"pull_requests": [{"number": 0}]})),
        ("check_run", payload(check_run={"head_sha": None})),
        ("workflow_run", json.dumps({"workflow_run": {"head_sha": HEAD}}).encode()),
        ("package", payload(package={"name": "shop"})),
        ("registry_package", payload(registry_package={"name": "", "namespace": ""})),
    ],
)
def test_what_names_nothing_is_kept_aside(door: Door, event: str, body: bytes) -> None:
    answer = door.deliver(body, event=event)
    assert (answer.status_code, answer.json()["verdict"]) == (202, "kept aside")
    assert door.heard == []


def test_only_so_many_pull_requests_are_looked_at(door: Door) -> None:
    named = [{"number": number} for number in range(1, 500)]
    door.deliver(payload(check_run={"pull_requests": named}), event="check_run")
    assert isinstance(door.heard[0], BuildNews)
    assert len(door.heard[0].numbers) == 100
