"""How a command is written, and which of them are offered when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from previews.domain.commands import (
    LINE_LENGTH_MAX,
    MEANINGS,
    Command,
    Unknown,
    Verb,
    is_addressed,
    offered,
    parse,
    valid_now,
)
from previews.domain.lifetime import Anchor, Expiry, LifetimePolicy
from previews.domain.policy import REASONS_OF_POLICY
from previews.domain.preview import Phase, PreviewKey, parse_head_sha
from previews.domain.record import PreviewRecord
from tests.fakes.surroundings import OWN_DATABASE, project
from tests.pull_requests import PULL_REQUEST

PROJECTS = ("order-service", "web", "approve")
DAY = timedelta(days=1)
COMMIT = parse_head_sha("1a2b3c4d" * 5)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
SHOP = project("shop", lifetime=LifetimePolicy(ttl=3 * DAY), database=OWN_DATABASE)
RECORD = PreviewRecord(key=PreviewKey("shop", 42), pull_request=PULL_REQUEST, phase=Phase.LIVE)


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ("/preview", Command(Verb.PREVIEW)),
        ("/preview order-service", Command(Verb.PREVIEW, "order-service")),
        ("/preview approve", Command(Verb.APPROVE)),
        (f"/preview approve {COMMIT}", Command(Verb.APPROVE, commit=COMMIT)),
        (f"/preview approve web {COMMIT.upper()}", Command(Verb.APPROVE, "web", commit=COMMIT)),
        ("/preview redeploy order-service", Command(Verb.REDEPLOY, "order-service")),
        ("/preview redeploy approve", Command(Verb.REDEPLOY, "approve")),
        ("/preview extend 24h", Command(Verb.EXTEND, "", DAY)),
        ("/preview extend 24h web", Command(Verb.EXTEND, "web", DAY)),
        ("/preview extend web 24h", Command(Verb.EXTEND, "web", DAY)),
        ("/preview pin", Command(Verb.PIN)),
        ("/preview pin 7d", Command(Verb.PIN, "", 7 * DAY)),
        ("/preview unpin", Command(Verb.UNPIN)),
        ("/preview sleep", Command(Verb.SLEEP)),
        ("/preview wake", Command(Verb.WAKE)),
        ("/preview reset-database", Command(Verb.RESET_DATABASE)),
        ("/preview logs web", Command(Verb.LOGS, "web")),
        ("/preview remove", Command(Verb.REMOVE)),
        ("/preview help", Command(Verb.HELP)),
        ("/Preview  REDEPLOY\tWeb  \r\nThank you!", Command(Verb.REDEPLOY, "web")),
        ("\n \r\n   /preview remove\n\n> quoted", Command(Verb.REMOVE)),
        ("/preview remove\r", Command(Verb.REMOVE)),
        ("\u2003/preview\u00a0remove", Command(Verb.REMOVE)),
        (" " * 3 + "/preview", Command(Verb.PREVIEW)),
        ("/preview" + " " * 10**6, Command(Verb.PREVIEW)),
        ("/preview remove\n" + "x" * 10**6, Command(Verb.REMOVE)),
        ("\n" * 10**6 + "/preview remove", Command(Verb.REMOVE)),
    ],
)
def test_a_command_is_the_first_line_of_a_comment(body: str, command: Command) -> None:
    assert parse(body, PROJECTS) == command


@pytest.mark.parametrize(
    "body",
    [
        "",
        " \r\n",
        "preview",
        "/previews",
        "/preview-approve",
        "/preview: remove",
        "//preview",
        "> /preview remove",
        "- /preview remove",
        "**/preview remove**",
        "`/preview remove`",
        "```\n/preview remove\n```",
        "    /preview remove",
        "\t/preview remove",
        "\n\n    /preview remove",
        "Please\n/preview remove",
        "<!-- -->/preview remove",
        "\u200b/preview remove",
        "\x00/preview remove",
        " " * 10**6 + "/preview remove",
        "x" * 10**6,
        "/" * 10**6,
    ],
)
def test_what_stands_elsewhere_asks_for_nothing(body: str) -> None:
    assert parse(body, PROJECTS) is None
    assert not is_addressed(body)


@pytest.mark.parametrize(
    "body",
    [
        "/preview deploy",
        "/preview is broken again",
        "/preview redeploy docs",
        "/preview web redeploy",
        "/preview redeploy web web",
        "/preview redeploy web order-service",
        "/preview redeploy now",
        "/preview extend",
        "/preview extend web",
        "/preview extend 1w",
        "/preview extend 24h 24h",
        "/preview extend -24h",
        "/preview pin forever",
        "/preview unpin 2d",
        "/preview rem\x00ove",
        "/preview remove\u202e",
        "/preview " + "x" * 10**6,
        "/preview" + " " * 10**6 + "remove",
        "/preview " + "web " * 100,
    ],
)
def test_what_is_not_understood_is_known_to_be_meant_for_us(body: str) -> None:
    asked = parse(body, PROJECTS)

    assert isinstance(asked, Unknown)
    assert 0 < len(asked.why) < 1000
    assert is_addressed(body)


@given(st.text(max_size=300))
def test_no_text_is_too_odd(text: str) -> None:
    for body in (text, f"/preview {text}", f"/preview extend {text}"):
        assert (parse(body, PROJECTS) is not None) == is_addressed(body)


@given(
    st.sampled_from(sorted(set(Verb) - {Verb.PREVIEW, Verb.EXTEND})),
    st.sampled_from(["", *PROJECTS]),
    st.sampled_from(["", " ", "\r\n", "\n\nA remark."]),
)
def test_a_command_reads_as_it_is_written(verb: Verb, name: str, rest: str) -> None:
    command = Command(verb, name)
    assert parse(f"{command}{rest}", PROJECTS) == command


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000)))
def test_a_length_reads_as_it_is_written(length: timedelta) -> None:
    command = Command(Verb.EXTEND, "web", timedelta(seconds=int(length.total_seconds())))
    assert len(str(command)) < LINE_LENGTH_MAX
    assert parse(str(command), PROJECTS) == command


def test_every_verb_has_a_meaning_for_people() -> None:
    assert list(MEANINGS) == list(Verb)


def words(record: PreviewRecord) -> set[str]:
    return {verb.value for verb in valid_now(SHOP, record)}


def test_what_is_live_can_be_sent_to_sleep_and_kept() -> None:
    assert words(RECORD) == {
        *("redeploy", "extend", "pin", "sleep", "reset-database", "logs", "remove", "help")
    }


def test_what_sleeps_can_be_woken() -> None:
    assert {"wake"} == words(replace(RECORD, phase=Phase.ASLEEP)) - words(RECORD)
    assert "sleep" not in words(replace(RECORD, phase=Phase.ASLEEP))


def test_what_is_pinned_can_be_let_go() -> None:
    expiry = Expiry(NOON, Anchor.LAST_PUSH, NOON - DAY, DAY, pinned_by="ada")
    pinned = words(replace(RECORD, expiry=expiry))
    assert "unpin" in pinned
    assert not pinned & {"pin", "extend"}


def test_what_has_no_machinery_is_not_offered() -> None:
    bare = project("bare")
    bare = replace(bare, helm=replace(bare.helm, sleep_parameters={}))
    assert offered(SHOP) - offered(bare) == {Verb.SLEEP, Verb.RESET_DATABASE}
    assert set(valid_now(bare, RECORD)) == {Verb.REDEPLOY, Verb.LOGS, Verb.REMOVE, Verb.HELP}


@pytest.mark.parametrize("phase", [Phase.EXPIRED, Phase.REMOVING])
def test_what_is_over_can_be_asked_for_again(phase: Phase) -> None:
    assert words(replace(RECORD, phase=phase)) == {"", "help"}


def test_nothing_can_be_done_for_a_closed_pull_request() -> None:
    closed = replace(RECORD, pull_request=replace(PULL_REQUEST, is_open=False))
    assert words(closed) == words(replace(RECORD, pull_request=None)) == {"help"}


@pytest.mark.parametrize("reason", sorted(REASONS_OF_POLICY))
def test_a_preview_that_is_not_wanted_can_be_asked_for_where_that_helps(reason: str) -> None:
    blocked = replace(RECORD, phase=Phase.BLOCKED, reason=reason, message="/preview brings one")
    helps = {
        "Draft",
        "AuthorIsBot",
        "TitleNotWanted",
        "LabelMissing",
        "NotAskedFor",
        "NoPathChanged",
    }
    assert words(blocked) - {"help"} == ({""} if reason in helps else set())
    fork = replace(blocked, pull_request=replace(PULL_REQUEST, from_fork=True))
    assert ("approve" in words(fork)) == (reason in helps | {"ForkNotApproved"})
