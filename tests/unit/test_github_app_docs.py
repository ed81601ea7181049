"""Holds docs/github-app.md, the manifest, the narrowed tokens and what the API is asked for together."""

import re
from collections.abc import Iterator
from pathlib import Path

from previews.adapters.forges.github_permissions import (
    ENVIRONMENTS,
    EVENTS,
    PERMISSIONS,
    granted_of,
    lacking,
    wanted,
)
from previews.adapters.github_app_manifest import manifest_of
from previews.cli import github_app
from previews.web.builds import BUILD_EVENTS
from previews.web.front import WEBHOOK_PATH
from previews.web.talk import RERUN_EVENTS
from tests.github.app_tokens import NEEDS, RANKS

PAGE = (Path(__file__).parents[2] / "docs" / "github-app.md").read_text(encoding="utf-8")
ONLY_WITH_A_TOKEN = {"statuses"}
"""Commit statuses: an App has check runs instead."""


def rows(heading: str) -> Iterator[list[str]]:
    text = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and not line.startswith(("| ---", "| Permission", "| Event")):
            yield cells


def test_the_page_lists_every_permission_with_its_reason_and_no_other() -> None:
    documented = [tuple(row) for row in rows("Permissions")]
    assert documented == [
        (each.title, f"`{each.name}`", each.access, each.why)
        for each in (*PERMISSIONS, ENVIRONMENTS)
    ]


def test_the_page_lists_every_event_with_its_reason_and_no_other() -> None:
    assert [tuple(row) for row in rows("Events")] == [
        (f"`{event}`", why) for event, why in EVENTS.items()
    ]


def test_the_page_names_every_file_and_option_of_the_command() -> None:
    for name in (github_app.KEY_FILE, github_app.SECRET_FILE, github_app.ID_FILE):
        assert f"`{name}`" in PAGE
    assert f"{github_app.MINUTES} minutes" in PAGE
    assert github_app.WEBHOOK_PATH == WEBHOOK_PATH


def test_every_event_is_one_that_the_door_understands() -> None:
    understood = {"pull_request", "issue_comment", "push", *BUILD_EVENTS, *RERUN_EVENTS}
    assert set(EVENTS) <= understood


def test_the_permissions_cover_what_the_api_is_asked_for_and_nothing_besides() -> None:
    """By the stand-in's table, which has GitHub's word for each endpoint in use."""
    needed: dict[str, str] = {"issues": "read"}
    for name, access in NEEDS.values():
        if name not in ONLY_WITH_A_TOKEN:
            needed[name] = max(needed.get(name, ""), access, key=RANKS.index)
    assert wanted(environments=True) == needed
    assert wanted() == {name: needed[name] for name in needed if name != ENVIRONMENTS.name}


def test_a_manifest_asks_for_exactly_these() -> None:
    made = manifest_of(
        name="previews",
        url="https://previews.example",
        webhook_url="https://previews.example/webhooks",
        redirect_url="http://127.0.0.1:1/created",
        environments=False,
    )
    assert made["default_permissions"] == {each.name: each.access for each in PERMISSIONS}
    assert made["default_events"] == list(EVENTS)


def test_what_is_lacking_is_told_by_name_and_access() -> None:
    assert lacking(wanted()) == []
    granted = wanted() | {"checks": "read", "pull_requests": "admin"}
    del granted["actions"]
    assert [each.name for each in lacking(granted)] == ["checks", "actions"]


def test_a_token_asks_for_no_more_than_was_granted() -> None:
    wished = wanted(environments=True)
    assert granted_of(wished, {"checks": "read", "contents": "write", "pages": "write"}) == {
        "checks": "read",
        "contents": "read",
    }


def test_permissions_are_spelled_as_the_api_does() -> None:
    assert all(re.fullmatch(r"[a-z_]+", each.name) for each in (*PERMISSIONS, ENVIRONMENTS))
