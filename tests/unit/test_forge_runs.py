"""What the adapters make of what forges say about CI."""

from typing import Any

import pytest

from previews.adapters.forges.answers import Request
from previews.adapters.forges.runs import choose_run, read_runs, read_statuses
from previews.domain.preview import CIRun
from previews.errors import TransientError

ASKED = Request("GET", "/repos/acme/shop/actions/runs")
URL = "https://ci.example/1"


def run(**changes: object) -> dict[str, Any]:
    whole = {"name": "build", "status": "completed", "conclusion": "success", "html_url": URL}
    return whole | changes


def status(**changes: object) -> dict[str, Any]:
    return {"context": "CI / build (push)", "status": "pending", "target_url": URL} | changes


def only_run(**changes: object) -> CIRun:
    (found,) = read_runs(
        ASKED, {"workflow_runs": [run(**changes)]}, "workflow_runs", not_of="preview/"
    )
    return found


def statuses(*found: object) -> list[CIRun]:
    document = {"statuses": list(found)}
    return read_statuses(ASKED, document, server_url="https://gitea.example/", not_of="preview/")


@pytest.mark.parametrize(
    ("said", "conclusion", "state"),
    [
        ("queued", None, "queued"),
        ("waiting", None, "queued"),
        ("requested", None, "queued"),
        ("in_progress", None, "running"),
        ("something new", None, "running"),
        ("completed", "success", "succeeded"),
        ("completed", "skipped", "succeeded"),
        ("completed", "failure", "failed"),
        ("completed", "timed_out", "failed"),
        ("completed", "startup_failure", "failed"),
        ("completed", None, "failed"),
        ("completed", "cancelled", "cancelled"),
    ],
)
def test_githubs_words_for_a_run(said: str, conclusion: str | None, state: str) -> None:
    assert only_run(status=said, conclusion=conclusion).state == state


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("pending", "running"),
        ("success", "succeeded"),
        ("warning", "succeeded"),
        ("failure", "failed"),
        ("error", "failed"),
    ],
)
def test_giteas_words_for_a_status(said: str, state: str) -> None:
    assert statuses(status(status=said)) == [CIRun("CI / build (push)", state, URL)]


def test_a_link_of_gitea_without_its_address_gets_it() -> None:
    (found,) = statuses(status(target_url="/acme/shop/actions/runs/1/jobs/0"))
    assert found.url == "https://gitea.example/acme/shop/actions/runs/1/jobs/0"


def test_statuses_of_managers_are_no_run() -> None:
    assert statuses(status(context="preview/shop"), status(context="preview/other")) == []
    assert read_statuses(ASKED, {"statuses": None}, server_url="", not_of="preview/") == []


def test_of_one_name_the_newest_counts() -> None:
    documents = [run(status="in_progress"), run(conclusion="failure"), run(name="lint")]
    found = read_runs(ASKED, {"check_runs": documents}, "check_runs", not_of="preview/")
    assert [(each.name, each.state) for each in found] == [
        ("build", "running"),
        ("lint", "succeeded"),
    ]


def test_what_failed_is_told_first_and_then_what_is_at_work() -> None:
    well, waits = CIRun("a", "succeeded", ""), CIRun("b", "queued", "")
    failed, ended = CIRun("c", "failed", ""), CIRun("d", "cancelled", "")
    assert choose_run([well, waits, failed]) == failed
    assert choose_run([ended, well, waits]) == waits
    assert choose_run([ended, well]) == ended
    assert choose_run([]) is None


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "//evil.example/x",
        "https://",
        "https://[",
        "https://ci.example/a b",
        "https://ci.example/\n",
        "https://ci.example/" + "x" * 400,
        None,
        7,
    ],
)
def test_what_is_no_plain_link_is_left_out(link: object) -> None:
    assert only_run(html_url=link).url == ""


def test_a_name_of_a_stranger_is_one_short_line() -> None:
    name = only_run(name="build\n\x1b[31m" + "x" * 5000).name
    assert name.isprintable()
    assert len(name) <= 110


@pytest.mark.parametrize(
    "document", [{}, {"workflow_runs": None}, {"workflow_runs": [3]}, {"workflow_runs": [{}]}]
)
def test_what_is_no_list_of_runs_is_an_error(document: object) -> None:
    with pytest.raises(TransientError) as raised:
        read_runs(ASKED, document, "workflow_runs", not_of="preview/")
    assert raised.value.reason == "ForgeAnswer"


@pytest.mark.parametrize("found", [3, {}, {"context": None, "status": "pending"}])
def test_what_is_no_status_is_an_error(found: object) -> None:
    with pytest.raises(TransientError):
        statuses(found)
