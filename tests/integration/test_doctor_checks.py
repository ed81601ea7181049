"""What `previews doctor` finds of the manager's own files, the forge, Git, the registry and the hosts."""

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from previews.adapters.store import SingleManagerLock
from previews.domain.findings import Level
from tests.integration.doctor_town import Town, town_in
from tests.integration.scripted_http import Asked, Reply


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with town_in(tmp_path) as town:
        yield town


def test_a_data_directory_that_a_manager_works_in_is_said_to_be(town: Town) -> None:
    directory = town.directory / "data"
    with closing(SingleManagerLock(directory)) as lock:
        lock.acquire(threading.Event(), on_wait=lambda: None)
        (found,) = town.examine("data directory")
        assert found.message.endswith("; a manager works in it")
    (found,) = town.examine("data directory")
    assert found.message.endswith("; no manager works in it now")


def test_a_data_directory_that_cannot_be_made_is_a_problem(town: Town) -> None:
    (town.directory / "taken").write_text("")
    town.configuration["data_directory"] = str(town.directory / "taken")
    assert town.finding("data directory").level is Level.PROBLEM


def test_an_empty_webhook_secret_is_a_problem(town: Town) -> None:
    (town.directory / "secret").write_text("\n")
    assert town.finding("webhooks").level is Level.PROBLEM


def test_a_revoked_token_is_a_problem(town: Town) -> None:
    (town.directory / "forge-token").write_text("revoked")
    found = town.finding("forge")
    assert (found.level, "expired or revoked" in found.message) == (Level.PROBLEM, True)


@pytest.mark.parametrize(
    ("repository", "level", "said"),
    [
        ({"permissions": {"pull": True, "push": False}}, Level.PROBLEM, "no commit status"),
        ({}, Level.UNKNOWN, "does not say"),
        ({"permissions": {"push": True}, "archived": True}, Level.WARNING, "archived"),
        ({"permissions": {"push": True, "admin": False}}, Level.WARNING, "no command"),
    ],
)
def test_what_the_token_may_not_do_in_a_repository_is_said(
    town: Town, repository: dict[str, Any], level: Level, said: str
) -> None:
    town.repository = repository
    found = town.finding("forge")
    assert (found.level, said in found.message) == (level, True)


def test_a_repository_that_the_token_does_not_see_is_a_problem(town: Town) -> None:
    town.configuration["projects"][0]["repository"] = "acme/other"
    assert town.finding("forge").level is Level.PROBLEM


def test_a_branch_that_is_missing_is_a_problem(town: Town) -> None:
    town.remote.delete_branch()
    found = town.finding("gitops")
    assert (found.level, "gitops.branch" in found.remedy) == (Level.PROBLEM, True)


def test_a_git_password_that_is_wrong_is_a_problem_and_not_shown(town: Town) -> None:
    (town.directory / "git-password").write_text("canary-wrong")
    found = town.finding("gitops")
    assert found.level is Level.PROBLEM
    assert "canary" not in found.message + found.remedy


def test_what_is_no_registry_is_a_problem(town: Town) -> None:
    town.registry.script = lambda _, reply: reply.send(200, b"<p>", Content_Type="text/html")
    assert "is no image registry" in town.finding("registry").message


def test_a_registry_that_does_not_take_the_credential_is_a_problem(town: Town) -> None:
    (town.directory / "config.json").write_text('{"auths": {}}')
    found = town.finding("registry")
    assert (found.level, "config.json" in found.remedy) == (Level.PROBLEM, True)


def test_a_sealing_certificate_that_cannot_be_had_is_a_problem(town: Town) -> None:
    (town.directory / "db-password").write_text("x")
    (town.directory / "db-url").write_text("postgresql://u:p@127.0.0.1/x")
    town.configuration["projects"][0]["database"] = {
        "provider": "shared",
        "url_file": str(town.directory / "db-url"),
    }
    found = town.finding("secrets")
    assert (found.level, "certificate_file" in found.remedy) == (Level.PROBLEM, True)


def test_a_shared_database_whose_address_makes_no_sense_is_a_problem(town: Town) -> None:
    (town.directory / "db-url").write_text("canary-nonsense")
    town.configuration["projects"][0]["database"] = {
        "provider": "shared",
        "url_file": str(town.directory / "db-url"),
    }
    found = town.finding("database")
    assert (found.level, "canary" in found.message) == (Level.PROBLEM, False)


@pytest.mark.parametrize(
    ("status", "page", "level"),
    [
        (404, {}, Level.PROBLEM),
        (503, {}, Level.PROBLEM),
        (503, {"X_Previews_Page": "busy"}, Level.WARNING),
    ],
)
def test_a_host_without_a_preview_must_get_the_managers_page(
    town: Town, status: int, page: dict[str, str], level: Level
) -> None:
    town.page_status, town.page = status, page
    assert town.finding("wildcard ingress").level is level


def test_an_ingress_that_speaks_no_tls_is_a_problem(town: Town) -> None:
    town.configuration["domain"]["scheme"] = "https"
    found = town.finding("tls")
    assert (found.check, found.level) == ("tls certificate", Level.PROBLEM)
    assert "does not speak TLS" in found.message


def test_hosts_with_records_of_their_own_are_asked_for_at_the_ingress(town: Town) -> None:
    (town.directory / "tsig").write_text("c2VjcmV0")
    town.configuration["domain"]["zone"] = "preview.example"
    town.configuration["projects"][0]["hostname"] = "pr-{number}.preview.example"
    town.configuration["dns"] = {
        "mode": "per_preview",
        "server": "127.0.0.1",
        "key_name": "previews",
        "key_file": str(town.directory / "tsig"),
        "addresses": ["127.0.0.1"],
    }
    town.zone = "preview.example"
    (found,) = town.examine("wildcard ingress")
    assert found.level is Level.FINE


def test_metrics_of_something_else_are_a_problem(town: Town) -> None:
    town.metrics.script = lambda _, reply: reply.send(200, b"up 1\n")
    assert town.finding("ingress metrics").level is Level.PROBLEM


def test_a_clock_that_is_apart_is_a_warning(town: Town) -> None:
    ordinary = town.answer_as_api

    def answer_late(asked: Asked, reply: Reply) -> None:
        late = datetime.now(UTC) - timedelta(hours=1)
        said = format_datetime(late, usegmt=True)
        reply.handler.date_time_string = lambda *_: said  # type: ignore[method-assign] # what it says the time is
        ordinary(asked, reply)

    town.api.script = answer_late
    found = town.finding("clock")
    assert found.level is Level.WARNING
    assert re.search(r"the API server is 36\d\d s behind", found.message)
