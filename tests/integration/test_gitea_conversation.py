"""What is said on Gitea's pull requests and who may do what, by a server that says false things or loses some."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from previews.adapters.forges.conversation import BODY_LENGTH_MAX
from previews.domain.conversation import Permission, PostedComment, Reaction
from previews.errors import StalledError, TransientError
from tests.integration.gitea_server import (
    API,
    COMMENTS,
    FALSE_TOTALS,
    NO_ANSWERS,
    OWN_ID,
    SHOP,
    THEN,
    Object,
    Serve,
    comment,
    gitea_with_token_in,
    lists,
    routes,
    says,
)
from tests.integration.scripted_http import Asked, Reply, Script, ScriptedServer

MARKER = "<!-- previews:acme -->"
SINCE = datetime(2026, 11, 23, 4, 37, 42, tzinfo=UTC)
US = says(200, {"id": OWN_ID, "login": "previews-bot"})
IN_SIGHT = says(200, {"id": 1, "full_name": SHOP})
ABSENT = says(404, {"message": "not found"})


@pytest.fixture
def at(tmp_path: Path) -> Serve:
    return gitea_with_token_in(tmp_path)


def asked_of(server: ScriptedServer) -> list[tuple[str, str]]:
    return [(each.method, each.path) for each in server.asked]


FALSE_COMMENTS: dict[str, Script] = {
    **NO_ANSWERS,
    **FALSE_TOTALS,
    "fewer than the total": lists(([comment(1, "/preview", author=2)], "2"), ([], "2")),
    "more than the total": lists(([comment(1, "a", author=2), comment(2, "b", author=2)], "1")),
    "no text": lists(([comment(1, "", author=2, body=7)], "1")),
    "no id": lists(([comment(1, "a", author=2, id=None)], "1")),
    "an author that is none": lists(([comment(1, "a", author=2, user=["somebody"])], "1")),
    "no moment": lists(([comment(1, "a", author=2, created_at=None)], "1")),
    "a moment that is none": lists(([comment(1, "a", author=2, updated_at="today")], "1")),
    "a comment that is none": lists((["/preview"], "1")),  # type: ignore[list-item] # What is false about it.
}


@pytest.mark.parametrize("script", FALSE_COMMENTS.values(), ids=FALSE_COMMENTS.keys())
def test_a_false_list_of_comments_is_an_error_and_no_list(at: Serve, script: Script) -> None:
    with at(routes(user=US, comments=script)) as (forge, _), pytest.raises(TransientError):
        forge.list_comments(SHOP, 1, since=SINCE)


def test_comments_come_in_order_with_who_wrote_them(at: Serve) -> None:
    said = [
        comment(3, "/preview help", author=2, created_at="2026-11-23T05:37:43+01:00"),
        comment(2, MARKER, author=OWN_ID),
        comment(1, "x" * (BODY_LENGTH_MAX + 1), author=-1, user=None),
    ]

    with at(routes(user=US, comments=lists((said, "3")))) as (forge, server):
        found = forge.list_comments(SHOP, 1, since=SINCE)
        (asked,) = [each for each in server.asked if each.path == COMMENTS]

    assert asked.query["since"] <= THEN
    assert [each.id for each in found] == [1, 2, 3]
    assert [each.author for each in found] == ["ghost", "somebody", "somebody"]
    assert [each.is_ours for each in found] == [False, True, False]
    assert len(found[0].body) == BODY_LENGTH_MAX
    assert found[2] == PostedComment(
        id=3,
        author="somebody",
        is_ours=False,
        is_of_bot=False,
        body="/preview help",
        created_at=datetime(2026, 11, 23, 4, 37, 43, tzinfo=UTC),
        updated_at=SINCE,
    )


@pytest.mark.parametrize(
    ("word", "permission"),
    [
        ("owner", Permission.ADMIN),
        ("admin", Permission.ADMIN),
        ("write", Permission.WRITE),
        ("read", Permission.READ),
        ("none", Permission.NONE),
    ],
)
def test_what_a_person_may_do_is_what_gitea_says(
    at: Serve, word: str, permission: Permission
) -> None:
    # Of a repository that is no organisation's, Gitea lists no teams.
    no_teams = says(405, {"message": "repo is not owned by an organization"})

    with at(routes(permission=says(200, {"permission": word}), teams=no_teams)) as (forge, server):
        assert forge.permission_of(SHOP, "octo-dev") is permission

    path = f"{API}/repos/{SHOP}/collaborators/octo-dev/permission"
    assert asked_of(server)[0] == ("GET", path)


@pytest.mark.parametrize(
    "script",
    [
        *NO_ANSWERS.values(),
        says(200, {"permission": "captain"}),
        says(200, {"permission": None}),
        says(200, {}),
        says(200, []),
    ],
    ids=[*NO_ANSWERS, "another word", "no word", "nothing said", "a list"],
)
def test_a_false_answer_about_a_person_is_no_permission_and_no_lack_of_one(
    at: Serve, script: Script
) -> None:
    with at(routes(permission=script)) as (forge, _), pytest.raises(TransientError):
        forge.permission_of(SHOP, "octo-dev")


def test_a_person_whom_gitea_does_not_know_may_do_nothing(at: Serve) -> None:
    unknown = says(404, {"message": "user does not exist [uid: 0, name: mallory]"})

    with at(routes(permission=unknown, shop=IN_SIGHT)) as (forge, _):
        assert forge.permission_of(SHOP, "mallory") is Permission.NONE


@pytest.mark.parametrize(
    "login", ["a/../b", "..", ".", "", "\u202e", "x?y=z", "%2e%2e/%2e%2e", "x" * 9000]
)
def test_a_login_that_is_none_asks_for_nothing_else(at: Serve, login: str) -> None:
    def script(asked: Asked, reply: Reply) -> None:
        is_question = asked.path.startswith(f"{API}/repos/{SHOP}/collaborators/")
        is_question = is_question and asked.path.endswith("/permission") and not asked.query
        reply.json(200, {"permission": "read" if is_question else "owner"})

    with at(script) as (forge, _), suppress(TransientError):
        assert not forge.permission_of(SHOP, login).may_write


WRITERS = {"id": 31, "name": "writers", "units_map": {"repo.code": "write"}}
READERS = {"id": 32, "name": "readers", "units_map": {"repo.code": "read", "repo.wiki": "write"}}
OLD = {"id": 33, "name": "old", "units_map": None}
READS = says(200, {"permission": "read"})
TEAMS = says(200, [READERS, OLD, WRITERS])
MEMBER = says(200, {"id": 2, "login": "octo-dev"})


def in_teams(member: Script, *, teams: Script = TEAMS) -> Script:
    return routes(**{"permission": READS, "teams": teams, "octo-dev": member})


def test_who_is_in_a_team_that_may_push_may_write(at: Serve) -> None:
    with at(in_teams(MEMBER)) as (forge, server):
        assert forge.permission_of(SHOP, "octo-dev") is Permission.WRITE

    assert asked_of(server)[-1] == ("GET", f"{API}/teams/31/members/octo-dev")
    # Who is in the others does not matter.
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    "script",
    [
        in_teams(ABSENT),
        in_teams(says(403, {"message": "Must be a team member"})),
        in_teams(MEMBER, teams=says(200, [READERS, OLD])),
        in_teams(MEMBER, teams=says(403, {"message": "not for this token"})),
    ],
    ids=["not in it", "not to be looked into", "no such team", "no teams to be seen"],
)
def test_who_is_not_proven_to_be_in_such_a_team_may_not_write(at: Serve, script: Script) -> None:
    with at(script) as (forge, _):
        assert forge.permission_of(SHOP, "octo-dev") is Permission.READ


FALSE_TEAMS: dict[str, Script] = {
    "no teams": says(200, ["writers"]),
    "a team without an id": says(200, [{"units_map": {"repo.code": "write"}}]),
    "units that are none": says(200, [{"id": 31, "units_map": ["repo.code"]}]),
    "too many questions": says(429, {"message": "slow down"}),
    "HTML": NO_ANSWERS["HTML"],
    "server error": NO_ANSWERS["server error"],
}


@pytest.mark.parametrize("teams", FALSE_TEAMS.values(), ids=FALSE_TEAMS.keys())
def test_false_teams_are_an_error(at: Serve, teams: Script) -> None:
    with at(in_teams(MEMBER, teams=teams)) as (forge, _), pytest.raises(TransientError):
        forge.permission_of(SHOP, "octo-dev")


def test_a_reaction_that_is_there_already_is_well(at: Serve) -> None:
    with at(says(200, {"content": "+1"})) as (forge, server):
        forge.react(SHOP, 1, 5, Reaction.DONE)

    assert asked_of(server) == [("POST", f"{API}/repos/{SHOP}/issues/comments/5/reactions")]
    assert server.asked[0].body == b'{"content":"+1"}'


def test_a_reaction_to_a_comment_that_is_gone_is_nothing_to_do(at: Serve) -> None:
    with at(routes(shop=IN_SIGHT)) as (forge, _):
        forge.react(SHOP, 1, 5, Reaction.REFUSED)


def test_a_reaction_in_a_repository_out_of_sight_is_an_error(at: Serve) -> None:
    with at(ABSENT) as (forge, _), pytest.raises(TransientError):
        forge.react(SHOP, 1, 5, Reaction.DONE)


def test_a_reaction_that_is_refused_is_said(at: Serve) -> None:
    refused = says(403, {"message": "'+1' is not an allowed reaction"})
    there = routes(**{"reactions": refused, "5": says(200, comment(5, "/preview", author=2))})

    with at(there) as (forge, _), pytest.raises(StalledError, match="allowed"):
        forge.react(SHOP, 1, 5, Reaction.DONE)


class Discussion:
    """The comments of one pull request."""

    def __init__(self, *held: Object) -> None:
        self.held = {each["id"]: each for each in held}
        self.elsewhere = ABSENT

    def answer(self, asked: Asked, reply: Reply) -> None:
        said = asked.path.rpartition("/")[2]
        if said == "user":
            US(asked, reply)
        elif asked.method == "GET":
            reply.json(200, list(self.held.values()), X_Total_Count=str(len(self.held)))
        elif asked.method == "POST":
            reply.json(201, comment(99, "new", author=OWN_ID))
        elif int(said) in self.held:
            reply.json(200, self.held[int(said)])
        else:
            self.elsewhere(asked, reply)


FORGED = comment(1, f"{MARKER}\nforged", author=2)
OURS = comment(2, f"{MARKER}\nLive", author=OWN_ID)
SEARCH = [("GET", COMMENTS), ("GET", f"{API}/user")]
PATCH_OURS = ("PATCH", f"{API}/repos/{SHOP}/issues/comments/2")


def test_our_comment_is_updated_in_place_and_only_when_it_differs(at: Serve) -> None:
    with at(Discussion(FORGED, OURS).answer) as (forge, server):
        assert forge.ensure_comment(SHOP, 1, marker=MARKER, body=f"{MARKER}\r\nLive\n") == 2
        assert asked_of(server) == SEARCH
        assert forge.ensure_comment(SHOP, 1, marker=MARKER, body=f"{MARKER}\nGone") == 2
        assert asked_of(server)[2:] == [("GET", COMMENTS), PATCH_OURS]


def test_a_known_comment_is_written_at_once(at: Serve) -> None:
    with at(Discussion(FORGED, OURS).answer) as (forge, server):
        known = forge.ensure_comment(SHOP, 1, marker=MARKER, body=f"{MARKER}\nGone", known_id=2)

    assert known == 2
    assert asked_of(server) == [PATCH_OURS]


OF_ANOTHER_REPOSITORY: Script = lambda _, reply: reply.send(404)  # noqa: E731 - as the others are written


@pytest.mark.parametrize("answer", [ABSENT, OF_ANOTHER_REPOSITORY], ids=["gone", "of elsewhere"])
def test_a_known_comment_that_is_gone_is_looked_for_and_then_written_anew(
    at: Serve, answer: Script
) -> None:
    with_ours, without = Discussion(FORGED, OURS), Discussion(FORGED)
    with_ours.elsewhere = without.elsewhere = answer
    body = f"{MARKER}\nGone"

    with at(with_ours.answer) as (forge, server):
        assert forge.ensure_comment(SHOP, 1, marker=MARKER, body=body, known_id=4) == 2
        assert asked_of(server)[1:] == [*SEARCH, PATCH_OURS]
    with at(without.answer) as (forge, server):
        assert forge.ensure_comment(SHOP, 1, marker=MARKER, body=body, known_id=4) == 99
        assert asked_of(server)[1:] == [*SEARCH, ("POST", COMMENTS)]


@pytest.mark.parametrize("script", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
def test_a_known_comment_without_a_true_answer_is_not_written_twice(
    at: Serve, script: Script
) -> None:
    with at(script) as (forge, server), pytest.raises((TransientError, StalledError)):
        forge.ensure_comment(SHOP, 1, marker=MARKER, body=MARKER, known_id=2)

    assert "POST" not in {each.method for each in server.asked}
