"""`previews github-app create`: a person goes through GitHub's pages, and the credentials end in files alone."""

import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest
import yaml

from previews.adapters.forges.github_permissions import EVENTS, wanted
from previews.adapters.github_app_manifest import GITHUB_API, api_url_of, form_url
from tests.github.app_manifest import (
    API_PREFIX,
    CLIENT_SECRET,
    WEBHOOK_SECRET,
    ManifestGitHub,
    browse,
    visit,
)

CREATE = [sys.executable, "-m", "previews", "github-app", "create"]
FILES = ("app-id", "private-key.pem", "webhook-secret")


class Command:
    """The command as a process, from its start to its end."""

    def __init__(self, github: ManifestGitHub, folder: Path, *options: str) -> None:
        self.said = ""
        self.process = subprocess.Popen(
            [
                *CREATE,
                *("--url", "https://previews.example", "--directory", str(folder)),
                *("--github-url", github.url),
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def page(self) -> str:
        """Where it wants to be opened."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if found := re.search(r"http://127\.0\.0\.1:\d+/\S+", line):
                return found[0]
        raise AssertionError(self.said)

    def end(self) -> tuple[int, str, str]:
        """Its exit code, and all that it printed: its result, and what it said besides."""
        out, said = self.process.communicate(timeout=30)
        return self.process.returncode, out, self.said + said

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


Begin: TypeAlias = Callable[..., Command]


@pytest.fixture
def github() -> Iterator[ManifestGitHub]:
    with ManifestGitHub() as github:
        yield github


@pytest.fixture
def begin(github: ManifestGitHub) -> Iterator[Begin]:
    """Begins a command with a folder and options. None outlives its test."""
    with ExitStack() as commands:

        def begin(folder: Path, *options: str) -> Command:
            command = Command(github, folder, *options)
            commands.callback(command.kill)
            return command

        yield begin


def refused(folder: Path, *options: str) -> tuple[int, str]:
    """What it says that does not even begin."""
    ended = subprocess.run(
        [*CREATE, "--url", "https://previews.example", "--directory", str(folder), *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return ended.returncode, ended.stderr


def kept(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_person_makes_an_app_and_its_credentials_are_stored_for_nobody_else(
    github: ManifestGitHub, begin: Begin, tmp_path: Path
) -> None:
    folder = tmp_path / "deep" / "credentials"
    command = begin(folder, "--organization", "acme")
    status, shown = browse(command.page())
    code, out, said = command.end()

    assert (status, code) == (200, 0), said
    assert kept(folder) == list(FILES)
    assert (folder / "private-key.pem").read_text() == github.private_key
    assert (folder / "webhook-secret").read_text() == f"{WEBHOOK_SECRET}\n"
    assert (folder / "app-id").read_text() == "4711\n"
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in FILES} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for secret in (WEBHOOK_SECRET, CLIENT_SECRET, "PRIVATE KEY", "code-1"):
        assert secret not in shown + out + said

    lines = out[out.index("forge:") : out.index("Install it")]
    assert yaml.safe_load(lines)["forge"] == {
        "kind": "github",
        "api_url": f"{github.url}{API_PREFIX}",
        "app": {"id": 4711, "private_key_file": str(folder / "private-key.pem")},
        "webhook_secret_files": [str(folder / "webhook-secret")],
    }
    assert f"{github.url}/github-apps/previews-acme/installations/new" in out
    assert f"{github.url}/github-apps/previews-acme/installations/new" in shown


def test_github_is_asked_for_exactly_what_is_needed(
    github: ManifestGitHub, begin: Begin, tmp_path: Path
) -> None:
    for options, environments in (((), False), (("--environments", "--name", "Ours"), True)):
        command = begin(tmp_path / f"{environments}", *options)
        browse(command.page())
        assert command.end()[0] == 0
        manifest = github.manifests[-1]
        assert manifest["default_permissions"] == wanted(environments=environments)
        assert manifest["default_events"] == list(EVENTS)
        assert manifest["hook_attributes"] == {
            "url": "https://previews.example/webhooks",
            "active": True,
        }
        assert manifest["public"] is False
    assert [each["name"] for each in github.manifests] == ["previews", "Ours"]
    assert github.owners == ["", ""]


def test_whoever_comes_with_another_state_is_sent_away_and_the_right_one_is_waited_for(
    begin: Begin, tmp_path: Path
) -> None:
    command = begin(tmp_path)
    page = command.page()
    assert browse(page, state="forged")[0] == 403
    assert browse(page, state="")[0] == 403
    assert kept(tmp_path) == []

    assert browse(page)[0] == 200
    code, _, said = command.end()
    assert code == 0
    assert "another state" in said


def test_nobody_gets_the_page_who_does_not_know_its_address(begin: Begin, tmp_path: Path) -> None:
    command = begin(tmp_path)
    page = command.page()
    origin = page.rpartition("/")[0]
    assert visit(f"{origin}/")[0] == 404
    assert visit(f"{origin}/created?code=x&state=y")[0] == 404
    assert visit(page, Host="previews.attacker.example")[0] == 421
    assert command.process.poll() is None


def test_a_code_that_is_not_good_any_more_ends_it_and_says_what_to_do(
    github: ManifestGitHub, begin: Begin, tmp_path: Path
) -> None:
    command = begin(tmp_path)
    github.broken_answers.append((404, b'{"message": "Not Found"}'))
    status, shown = browse(command.page())
    code, _, said = command.end()
    assert (status, code) == (409, 1)
    assert "begin again" in shown
    assert "does not take its code any more" in said
    assert kept(tmp_path) == []


def test_an_answer_that_does_not_come_is_asked_for_again(
    github: ManifestGitHub, begin: Begin, tmp_path: Path
) -> None:
    command = begin(tmp_path)
    page = command.page()
    github.broken_answers.append((502, b"<html>"))
    assert browse(page)[0] == 502
    assert browse(page)[0] == 200
    assert command.end()[0] == 0


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"id": 1, "pem": "canary"}'])
def test_half_an_answer_stores_nothing_and_shows_nothing_of_it(
    github: ManifestGitHub, begin: Begin, tmp_path: Path, answer: bytes
) -> None:
    command = begin(tmp_path)
    github.broken_answers.append((201, answer))
    browse(command.page())
    code, out, said = command.end()
    assert code == 1
    assert "did not say all of it" in said
    assert "canary" not in out + said
    assert kept(tmp_path) == []


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to(tmp_path / "nowhere")
    code, said = refused(tmp_path)
    assert code == 2
    assert f"holds {name} already" in said


def test_what_cannot_be_stored_is_known_before_github_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, said = refused(tmp_path / "file" / "credentials")
    assert code == 2
    assert "Not a directory" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--url", "previews.example"), "--url"),
        (("--github-url", "javascript:alert(1)"), "--github-url"),
        (("--name", "x" * 35), "up to 34 characters"),
    ],
)
def test_a_wrong_option_is_said(tmp_path: Path, options: Sequence[str], words: str) -> None:
    code, said = refused(tmp_path, *options)
    assert code == 2
    assert words in said


def test_githubs_own_addresses_are_known() -> None:
    assert api_url_of("https://github.com/") == GITHUB_API
    assert form_url("https://github.com", "") == "https://github.com/settings/apps/new"
    assert (
        form_url("https://github.example/", "a/b")
        == "https://github.example/organizations/a%2Fb/settings/apps/new"
    )
