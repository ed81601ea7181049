"""A GitHub App at a stand-in that checks everything: what it signs, what each token reaches, and when it ends."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from previews.adapters.forges.github import GitHubForge
from previews.adapters.forges.github_app import REFRESH_BEFORE_SECONDS
from previews.errors import TransientError
from tests.github.app_tokens import CLIENT_ID, EVERYTHING, pem, private_key
from tests.github.as_app import Ticks, app_forge, key_file
from tests.github.server import Fault, refusal
from tests.github.standin import StandInGitHub

SHOP, DOCS, OTHER = "acme/shop", "acme/docs", "other/site"
TOKENS = "POST /app/installations/{installation_id}/access_tokens"
MARKER = "<!-- previews:acme -->"


@pytest.fixture
def github() -> Iterator[StandInGitHub]:
    with StandInGitHub() as standin:
        for name in (SHOP, DOCS, OTHER):
            standin.add_repository(name)
        yield standin


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def forge(github: StandInGitHub, tmp_path: Path, ticks: Ticks) -> GitHubForge:
    return app_forge(github, tmp_path, ticks)


def reason_of(forge: GitHubForge, repository: str) -> str:
    with pytest.raises(TransientError) as caught:
        forge.list_open_pull_requests(repository)
    return caught.value.reason


def test_each_repository_has_a_token_that_reaches_no_other(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    for name in (SHOP, DOCS, OTHER, SHOP):
        forge.list_open_pull_requests(name)

    assert [len(token.repository_ids or ()) for token in github.app.tokens] == [1, 1, 1]
    assert len({token.repository_ids for token in github.app.tokens}) == 3
    assert dict(github.app.tokens[0].permissions) == EVERYTHING
    assert github.counts()[TOKENS] == 3


def test_a_token_asks_for_no_more_than_was_granted(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    github.app.granted = {"metadata": "read", "pull_requests": "write", "checks": "read"}

    forge.list_open_pull_requests(SHOP)

    assert dict(github.app.tokens[0].permissions) == github.app.granted
    assert "Checks: write" in forge.connection.list_lacking(SHOP)


def test_an_app_has_what_a_token_has_not(github: StandInGitHub, forge: GitHubForge) -> None:
    assert forge.checks is not None
    assert forge.redeliveries is not None
    number = github.open_pull_request(SHOP)

    forge.check()
    comment = forge.ensure_comment(SHOP, number, marker=MARKER, body=MARKER)

    assert github.comment_of(comment).author.endswith("[bot]")
    assert forge.ensure_comment(SHOP, number, marker=MARKER, body=MARKER) == comment


def test_the_client_id_is_an_id_as_well(github: StandInGitHub, tmp_path: Path) -> None:
    app_forge(github, tmp_path, app_id=CLIENT_ID).check()


def test_a_token_is_renewed_before_it_ends(
    github: StandInGitHub, forge: GitHubForge, ticks: Ticks
) -> None:
    forge.list_open_pull_requests(SHOP)
    ticks.pass_by(3600 - REFRESH_BEFORE_SECONDS - 30)
    forge.list_open_pull_requests(SHOP)
    assert len(github.app.tokens) == 1

    ticks.pass_by(31)
    forge.list_open_pull_requests(SHOP)

    assert len(github.app.tokens) == 2
    assert 401 not in github.limits.counted


@pytest.mark.fault(42)
def test_a_token_that_ends_in_the_middle_is_replaced_once(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    forge.list_open_pull_requests(SHOP)
    github.app.revoke_tokens()

    assert forge.fetch_pull_request(SHOP, number) is not None

    assert github.limits.counted[401] == 1
    assert len(github.app.tokens) == 2


def test_a_write_whose_token_was_refused_is_made_once(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    forge.connection.own_id(SHOP)
    github.app.revoke_tokens()

    forge.ensure_comment(SHOP, number, marker=MARKER, body=MARKER)

    assert len(github.comments(SHOP, number)) == 1


def test_a_forge_that_refuses_every_token_is_asked_twice_and_no_more(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    github.fail(refusal(401, "Bad credentials"), on="/pulls")

    assert reason_of(forge, SHOP) == "ForgeCredentials"

    assert Counter(asked.path for asked in github.requests)[f"/repos/{SHOP}/pulls"] == 2


@pytest.mark.fault(42)
def test_where_the_app_is_suspended_nothing_is_known_and_elsewhere_all_goes_on(
    github: StandInGitHub, forge: GitHubForge, ticks: Ticks
) -> None:
    number = github.open_pull_request(SHOP)
    forge.list_open_pull_requests(SHOP)
    github.app.suspended.add("acme")

    assert reason_of(forge, SHOP) == "ForgeSuspended"
    with pytest.raises(TransientError, match="suspended"):
        forge.fetch_pull_request(SHOP, number)
    with pytest.raises(TransientError, match="suspended"):
        # A refusal of any other kind would stop for good what only has to wait.
        forge.ensure_comment(SHOP, number, marker=MARKER, body=MARKER)
    ticks.pass_by(3600)
    assert reason_of(forge, SHOP) == reason_of(forge, DOCS) == "ForgeSuspended"
    assert forge.list_open_pull_requests(OTHER) == []

    github.app.suspended.clear()
    assert [each.number for each in forge.list_open_pull_requests(SHOP)] == [number]


@pytest.mark.fault(42)
def test_a_repository_that_the_app_was_taken_out_of_has_no_answer(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    forge.list_open_pull_requests(SHOP)
    github.app.excluded.add(SHOP)

    with pytest.raises(TransientError):
        forge.fetch_pull_request(SHOP, number)
    github.app.revoke_tokens()
    assert reason_of(forge, SHOP) == "ForgeSuspended"

    assert forge.list_open_pull_requests(DOCS) == []


def test_a_renamed_repository_is_followed_by_its_id(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    number = github.open_pull_request(SHOP)
    github.rename(SHOP, "acme/store")

    assert [each.number for each in forge.list_open_pull_requests(SHOP)] == [number]

    reached = github.app.tokens[-1]
    assert reached.repository_ids == frozenset({github.repository_of(1).id})


@pytest.mark.parametrize("ahead", [-3000.0, -90.0, 400.0, 3000.0])
def test_another_clock_at_github_is_signed_by(
    github: StandInGitHub, forge: GitHubForge, ticks: Ticks, ahead: float
) -> None:
    github.set_clock_ahead(ahead)

    forge.list_open_pull_requests(SHOP)
    ticks.pass_by(3600 - REFRESH_BEFORE_SECONDS - 30)
    forge.list_open_pull_requests(SHOP)

    # Refused once, and known from then on; a token lasts as long by either clock.
    assert github.limits.counted[401] == 1
    assert len(github.app.tokens) == 1


def test_another_key_is_used_without_a_restart(
    github: StandInGitHub, forge: GitHubForge, tmp_path: Path
) -> None:
    forge.check()
    github.app.key = private_key("second")

    with pytest.raises(TransientError) as caught:
        forge.check()
    assert caught.value.reason == "ForgeCredentials"

    key_file(github, tmp_path)
    forge.check()


def test_a_file_without_a_key_is_said_and_not_shown(
    github: StandInGitHub, forge: GitHubForge, tmp_path: Path
) -> None:
    secret = pem(private_key())
    for content in ("", "ghs_0123456789", secret[:300], secret.replace("RSA", "EC"), "clé"):
        (tmp_path / "github-app.pem").write_text(content, encoding="utf-8")
        with pytest.raises(TransientError) as caught:
            forge.check()
        assert caught.value.reason == "ForgeCredentials"
        assert not content or content not in caught.value.message
    (tmp_path / "github-app.pem").unlink()
    with pytest.raises(TransientError, match="cannot be read"):
        forge.check()
    assert github.requests == []


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b'{"token": "ghs_1"}',
        b'{"token": "ghs_1", "expires_at": "soon"}',
        b'{"token": "ghs_1", "expires_at": "2030-01-01T00:00:00"}',
        b'{"token": "two words", "expires_at": "2030-01-01T00:00:00Z"}',
        b'{"token": null, "expires_at": "2030-01-01T00:00:00Z"}',
    ],
)
def test_what_is_no_token_is_not_used(
    github: StandInGitHub, forge: GitHubForge, body: bytes
) -> None:
    github.fail(Fault(status=201, body=body), on="access_tokens")

    assert reason_of(forge, SHOP) == "ForgeAnswer"
    assert not [asked for asked in github.requests if asked.path.endswith("/pulls")]


def test_many_who_need_one_token_ask_for_one(github: StandInGitHub, forge: GitHubForge) -> None:
    with ThreadPoolExecutor(max_workers=8) as threads:
        list(threads.map(lambda _: forge.list_open_pull_requests(SHOP), range(16)))

    assert len(github.app.tokens) == 1


def test_neither_key_nor_token_is_in_what_is_shown(
    github: StandInGitHub, forge: GitHubForge
) -> None:
    forge.list_open_pull_requests(SHOP)
    github.app.suspended.add("acme")
    with pytest.raises(TransientError) as caught:
        forge.list_open_pull_requests(SHOP)

    shown = f"{caught.value!r} {caught.value.message} {forge.connection.allowances()}"

    assert github.app.tokens[0].value not in shown


def test_github_enterprise_server_has_apps_as_well(tmp_path: Path) -> None:
    with StandInGitHub(prefix="/api/v3") as enterprise:
        enterprise.limits.is_enterprise = True
        for _ in range(101):
            enterprise.open_pull_request(SHOP)
        forge = app_forge(enterprise, tmp_path)

        assert len(forge.list_open_pull_requests(SHOP)) == 101
        assert {each.limit for each in forge.connection.allowances()} == {None}
