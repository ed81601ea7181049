"""What people ask for in comments: kept, acknowledged, refused, and done once, whatever happens in between."""

from datetime import timedelta

import pytest

from previews.domain.conversation import Permission
from previews.domain.lifetime import Wishes
from previews.domain.policy import Policy, Trigger
from previews.domain.preview import Phase
from previews.domain.workload import Workload
from previews.reconcile.conversation import STRANGERS_ANSWERED_MAX
from tests.fakes.forge import UNREACHABLE
from tests.fakes.surroundings import OWN_DATABASE, REPOSITORY
from tests.unit.talks import WRITER, Talk


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_a_command_is_done_and_acknowledged(talk: Talk) -> None:
    asked = talk.ask("/preview remove\n")

    assert talk.phase is Phase.EXPIRED
    assert talk.reaction(asked) == "+1"
    assert talk.reply(asked) == ""
    assert talk.wishes.removal is not None
    assert talk.wishes.removal.by == WRITER
    late_by = talk.wishes.removal.at - talk.forge.comment_of(asked).created_at
    assert timedelta(0) <= late_by < timedelta(milliseconds=1)


def test_what_was_removed_comes_back_when_somebody_asks_for_it(talk: Talk) -> None:
    talk.ask("/preview remove")

    asked = talk.ask("/preview")

    assert talk.reaction(asked) == "+1"
    assert talk.phase is Phase.LIVE


def test_a_preview_that_waits_for_a_command_comes_with_it() -> None:
    talk = Talk(policy=Policy(trigger=Trigger.COMMAND))
    assert (talk.phase, talk.record.reason) == (Phase.BLOCKED, "NotAskedFor")

    talk.ask("/preview")

    assert talk.phase is Phase.LIVE


def test_what_the_server_forbids_is_refused_with_its_reason() -> None:
    talk = Talk(policy=Policy(authors=("nobody",)))

    asked = talk.ask("/preview")

    assert talk.reaction(asked) == "confused"
    assert "there is no preview: pull requests of this author get none" in talk.reply(asked)
    assert talk.wishes == Wishes()


def test_a_command_is_obeyed_before_its_pull_request_was_ever_read() -> None:
    talk = Talk(policy=Policy(trigger=Trigger.COMMAND))
    talk.number = talk.forge.open_pull_request(REPOSITORY)
    talk.town.push_image(talk.number)

    asked = talk.ask("/preview")

    assert talk.phase is Phase.LIVE
    assert talk.reaction(asked) == "+1"


def test_what_needs_a_preview_waits_until_its_pull_request_was_read(talk: Talk) -> None:
    talk.number = talk.forge.open_pull_request(REPOSITORY)
    talk.town.push_image(talk.number)

    asked = talk.ask("/preview pin 2d")

    assert talk.reaction(asked) == "+1"
    assert talk.wishes.pin is not None


def test_a_pull_request_that_cannot_be_read_refuses_after_a_while(talk: Talk) -> None:
    talk.number = talk.forge.open_pull_request(REPOSITORY)
    talk.forge.fail(UNREACHABLE, on="fetch_pull_request")

    asked = talk.say("/preview pin 2d")
    talk.pass_seconds(300)

    assert talk.reaction(asked) == "confused"
    assert "was not read yet" in talk.reply(asked)


def test_somebody_who_may_not_write_is_told_so_without_words(talk: Talk) -> None:
    talk.forge.set_permission(REPOSITORY, "reader", Permission.READ)

    for author in ("reader", "stranger"):
        asked = talk.ask("/preview remove", author=author)
        assert (talk.reaction(asked), talk.reply(asked)) == ("confused", "")

    assert talk.phase is Phase.LIVE


def test_nobody_is_asked_about_who_says_nothing_to_us(talk: Talk) -> None:
    talk.ask("Nice.", author="reader")

    assert "permission_of acme/shop reader" not in talk.forge.calls


def test_strangers_do_not_make_us_write_without_end(talk: Talk) -> None:
    said = [talk.say("/preview help", author="stranger") for _ in range(STRANGERS_ANSWERED_MAX + 5)]
    talk.pass_seconds(60)
    answered = [each for each in said if talk.reaction(each)]
    assert answered == said[:STRANGERS_ANSWERED_MAX]

    talk.pass_seconds(3600)
    assert talk.reaction(talk.ask("/preview", author="stranger")) == "confused"


def test_a_person_is_asked_about_once_for_several_commands(talk: Talk) -> None:
    said = [talk.say("/preview pin"), talk.say("/preview sleep"), talk.say("/preview help")]
    talk.pass_seconds(60)

    assert talk.forge.calls.count(f"permission_of acme/shop {WRITER}") == 1
    assert [talk.reaction(each) for each in said] == ["+1", "+1", "+1"]
    assert {"Pin", "Sleep"} <= set(talk.happened)


def test_a_forge_that_cannot_say_what_somebody_may_is_asked_again(talk: Talk) -> None:
    talk.forge.fail(UNREACHABLE, on="permission_of", times=3)

    asked = talk.ask("/preview pin")

    assert talk.reaction(asked) == "+1"


@pytest.mark.parametrize(
    "body",
    [
        "Please /preview remove",
        "> /preview remove",
        "```\n/preview remove\n```",
        "    /preview remove",
        "`/preview remove`",
        "/previews remove",
        "Done.\n\n/preview remove",
        "x" * 60_000,
    ],
)
def test_what_only_looks_like_a_command_asks_for_nothing(talk: Talk, body: str) -> None:
    said = talk.ask(body)

    assert (talk.phase, talk.reaction(said), talk.reply(said)) == (Phase.LIVE, "", "")


@pytest.mark.parametrize("author", ["dependabot[bot]", "renovate[bot]"])
def test_no_bot_is_obeyed_or_answered(talk: Talk, author: str) -> None:
    talk.forge.set_permission(REPOSITORY, author, Permission.WRITE)

    said = talk.ask("/preview remove", author=author)

    assert (talk.phase, talk.reaction(said), talk.reply(said)) == (Phase.LIVE, "", "")


def test_the_manager_does_not_listen_to_itself(talk: Talk) -> None:
    talk.forge.set_permission(REPOSITORY, talk.forge.own_login, Permission.ADMIN)

    talk.ask("/preview remove", author=talk.forge.own_login)

    assert talk.phase is Phase.LIVE


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("/preview deploy", "there is no command /preview deploy"),
        ("/preview extend", "it needs a length of time"),
        ("/preview redeploy docs", "docs is not one of this repository's projects"),
        ("/preview sing @everybody <b>", r"/preview sing"),
        ("/preview " + "x" * 5000, "too long for one"),
    ],
)
def test_what_is_not_understood_is_answered_with_help(talk: Talk, body: str, why: str) -> None:
    said = talk.ask(body)

    assert talk.reaction(said) == "confused"
    assert why in talk.reply(said).replace("\\", "")
    assert "- `/preview redeploy` has its pods made anew" in talk.reply(said)
    assert "@e" not in talk.reply(said)


def test_help_names_what_makes_sense_now_and_nothing_else(talk: Talk) -> None:
    asked = talk.ask("/preview help")

    assert talk.reaction(asked) == "+1"
    said = talk.reply(asked)
    assert "`/preview extend 24h`" in said
    assert "`/preview sleep`" in said
    for absent in ("reset-database", "approve", "wake", "unpin"):
        assert absent not in said


def test_a_command_without_machinery_is_answered_with_help(talk: Talk) -> None:
    said = talk.ask("/preview reset-database")

    assert talk.reaction(said) == "confused"
    assert "could be done with" in talk.reply(said)
    assert "reset-database` has" not in talk.reply(said)


def test_a_database_is_made_anew() -> None:
    talk = Talk(database=OWN_DATABASE)

    talk.ask("/preview reset-database")

    assert talk.wishes.reset is not None
    assert talk.phase is Phase.LIVE


def test_a_refusal_says_why(talk: Talk) -> None:
    said = talk.ask("/preview extend 400d")

    assert talk.reaction(said) == "confused"
    assert "may be kept for at most 30d" in talk.reply(said)
    assert talk.wishes.extension is None


def test_a_closed_pull_request_gets_no_preview(talk: Talk) -> None:
    talk.town.close(talk.number)
    talk.pass_seconds(60)

    said = talk.ask("/preview")

    assert "is closed: reopen it first" in talk.reply(said)
    assert talk.phase is Phase.REMOVED


def test_logs_are_the_last_words_of_what_crashed(talk: Talk) -> None:
    words = "Traceback\n```\n@everybody look at https://evil.example\nKeyError: 'price'"
    namespace = f"preview-shop-pr-{talk.number}"
    talk.town.cluster.workloads[namespace] = Workload(last_words=words)

    said = talk.ask("/preview logs")

    assert talk.reaction(said) == "+1"
    reply = talk.reply(said)
    assert reply.startswith("**shop: Live**")
    assert "- ✅ Answering since" in reply
    assert "````text\nTraceback\n```\n" in reply
    assert reply.endswith("KeyError: 'price'\n````")


def test_logs_say_so_when_the_cluster_does_not_answer(talk: Talk) -> None:
    talk.town.cluster.is_unreachable = True

    said = talk.ask("/preview logs")

    assert "The cluster cannot be asked at the moment" in talk.reply(said)


def test_a_login_that_stands_for_the_manager_is_marked_as_a_person(talk: Talk) -> None:
    talk.forge.set_permission(REPOSITORY, "previews", Permission.WRITE)

    talk.ask("/preview remove", author="previews")

    assert talk.wishes.removal is not None
    assert talk.wishes.removal.by == "previews (a person)"


def test_a_button_beside_a_check_redeploys_for_those_who_may(talk: Talk) -> None:
    talk.town.manager.press(talk.town.pressed(talk.number, by="stranger"))
    talk.pass_seconds(10)
    assert "Redeploy" not in talk.happened

    talk.town.manager.press(talk.town.pressed(talk.number, by=WRITER))
    talk.pass_seconds(10)
    assert talk.wishes.redeploy is not None
    assert talk.wishes.redeploy.by == WRITER
