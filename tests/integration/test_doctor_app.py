"""What `previews doctor` says of a GitHub App, asked of the stand-in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from previews.adapters.forges.github_permissions import EVENTS
from previews.doctor_app import CHECK, check_app
from previews.doctor_case import Case
from previews.domain.findings import Finding, Level
from previews.settings import load_settings
from tests.github.app_tokens import APP_ID
from tests.github.standin import StandInGitHub


@pytest.fixture
def github() -> Iterator[StandInGitHub]:
    with StandInGitHub() as github:
        github.app.events[:] = EVENTS
        github.add_repository("acme/shop")
        yield github


def case(github: StandInGitHub, folder: Path, **forge: object) -> Case:
    key = folder / "key.pem"
    key.write_text(github.app.private_key)
    (folder / "token").write_text("canary-token\n")
    app = {"app": {"id": APP_ID, "private_key_file": str(key)}}
    configuration = {
        "instance": "acme",
        "data_directory": str(folder),
        "forge": {"kind": "github", "api_url": github.url} | (forge or app),
        "gitops": {"url": "https://git.example/gitops.git"},
        "domain": {"zone": "preview.example"},
        "projects": [
            {
                "name": "shop",
                "repository": "acme/shop",
                "hostname": "{project}-pr-{number}.preview.example",
                "deploy": {"helm": {"repository_url": "https://git.example/c.git", "path": "app"}},
            }
        ],
    }
    file = folder / "previews.yaml"
    file.write_text(yaml.safe_dump(configuration))
    return Case(settings=load_settings(file))


def ask(github: StandInGitHub, folder: Path, **forge: object) -> dict[Level, list[Finding]]:
    found: dict[Level, list[Finding]] = {}
    for finding in check_app(case(github, folder, **forge)):
        assert finding.check == CHECK
        found.setdefault(finding.level, []).append(finding)
    return found


def test_an_app_as_it_should_be_is_fine(github: StandInGitHub, tmp_path: Path) -> None:
    found = ask(github, tmp_path)
    assert found.keys() == {Level.FINE, Level.UNKNOWN}
    assert "asks for what is needed" in found[Level.FINE][0].message
    assert "nothing was delivered" in found[Level.UNKNOWN][0].message


def test_permissions_and_events_that_are_lacking_are_named(
    github: StandInGitHub, tmp_path: Path
) -> None:
    github.app.granted["checks"] = "read"
    github.app.events.remove("issue_comment")
    found = ask(github, tmp_path)
    assert "Checks: write" in found[Level.PROBLEM][0].message
    assert "issue_comment" in found[Level.WARNING][0].message


def test_a_webhook_that_leads_elsewhere_or_nowhere_is_said(
    github: StandInGitHub, tmp_path: Path
) -> None:
    github.app.webhook_url = "https://previews.example/"
    assert "goes to https://previews.example/" in ask(github, tmp_path)[Level.PROBLEM][0].message
    github.app.webhook_url = ""
    assert "no webhook" in ask(github, tmp_path)[Level.WARNING][0].message


def test_deliveries_that_did_not_arrive_are_counted(github: StandInGitHub, tmp_path: Path) -> None:
    # Nobody listens there.
    github.hook("http://127.0.0.1:9/webhooks", "secret")
    github.open_pull_request("acme/shop")
    found = ask(github, tmp_path)
    assert "did not arrive" in found[Level.WARNING][0].message


def test_a_key_of_another_app_is_a_problem(github: StandInGitHub, tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_text("canary-key\n")
    app = {"id": APP_ID, "private_key_file": str(tmp_path / "other.pem")}
    found = ask(github, tmp_path, app=app)
    assert found.keys() == {Level.PROBLEM}
    assert "canary" not in found[Level.PROBLEM][0].message


def test_with_a_token_there_is_nothing_to_look_at(github: StandInGitHub, tmp_path: Path) -> None:
    found = ask(github, tmp_path, token_file=str(tmp_path / "token"))
    assert found.keys() == {Level.FINE}
    assert github.requests == []
