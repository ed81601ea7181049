"""Commands that come late, twice, or to a manager that dies in the middle: each is done once, and none is lost."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest

from previews.domain.lifetime import Wishes
from previews.domain.naming import short_sha
from previews.domain.policy import Forks, Policy
from previews.domain.preview import Phase
from previews.reconcile.conversation import OBEYED_FOR
from previews.reconcile.effects import Effect
from tests.fakes.forge import REFUSED, UNREACHABLE
from tests.fakes.surroundings import REPOSITORY
from tests.fakes.town import CountingWitness
from tests.unit.lives import MINUTE, expect_quiet, key_of
from tests.unit.talks import WRITER, Talk

DAY = 86400.0
FORKS = Policy(forks=Forks.APPROVE)


@pytest.fixture
def talk() -> Talk:
    return Talk()


class Died(BaseException):
    """The process is gone: nothing catches it."""


class Executioner:
    """Ends the process at one effect, once."""

    def __init__(self, effect: Effect, *, after: bool) -> None:
        self._strikes = [(effect, after)]

    def before(self, effect: Effect, subject: str) -> None:  # noqa: ARG002 - the port has it
        self._strike(effect, after=False)

    def after(self, effect: Effect, subject: str) -> None:  # noqa: ARG002 - the port has it
        self._strike(effect, after=True)

    def _strike(self, effect: Effect, *, after: bool) -> None:
        if (effect, after) in self._strikes:
            self._strikes.clear()
            raise Died


SPOKEN = [Effect.ACT, Effect.REACT, Effect.REPLY, Effect.RECORD_COMMENTS_READ]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("effect", SPOKEN)
def test_no_command_is_lost_or_done_twice_when_the_manager_dies(
    effect: Effect, *, after: bool
) -> None:
    talk = Talk()
    extended = talk.say("/preview extend 24h", heard=False)
    refused = talk.say("/preview extend 400d")
    before = talk.record.expiry
    assert before is not None
    talk.town.witness = Executioner(effect, after=after)
    talk.town.start()
    with suppress(Died):
        talk.say("/preview help")
        talk.pass_seconds(MINUTE)
        raise AssertionError("nothing was struck")

    talk.town.start()
    talk.pass_seconds(MINUTE)

    assert talk.wishes.extension is not None
    assert talk.wishes.extension.until == before.at + timedelta(days=1)
    assert talk.happened.count("Extend") == 1
    assert [talk.reaction(each) for each in (extended, refused)] == ["+1", "confused"]
    assert "at most 30d" in talk.reply(refused)
    assert sum("reply:" in each.body for each in talk.forge.comments(REPOSITORY, 1)) == 2


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("effect", [Effect.ACT, Effect.CLEAR_MARK])
def test_no_button_is_lost_or_counted_twice_when_the_manager_dies(
    effect: Effect, *, after: bool
) -> None:
    talk = Talk()
    pressed = talk.town.pressed(talk.number, by=WRITER)
    talk.town.witness = Executioner(effect, after=after)
    talk.town.start()
    with suppress(Died):
        talk.town.manager.press(pressed)
        talk.pass_seconds(MINUTE)
        raise AssertionError("nothing was struck")

    talk.town.start()
    talk.pass_seconds(MINUTE)

    assert talk.wishes.redeploy is not None
    assert (talk.wishes.redeploy.at, talk.wishes.redeploy.by) == (pressed.received_at, WRITER)
    assert talk.happened.count("Redeploy") == 1
    assert talk.town.store.unfinished_deliveries() == []
    talk.town.witness = CountingWitness()
    talk.town.start()
    talk.town.manager.press(pressed)
    talk.pass_seconds(MINUTE)
    assert talk.happened.count("Redeploy") == 1
    expect_quiet(talk.town)


def test_a_button_of_long_ago_redeploys_nothing(talk: Talk) -> None:
    talk.town.store.accept([(talk.town.pressed(talk.number, by=WRITER), [])])
    talk.pass_seconds(OBEYED_FOR.total_seconds() + 1)

    talk.town.start()
    talk.pass_seconds(MINUTE)

    assert talk.wishes.redeploy is None
    assert talk.town.store.unfinished_deliveries() == []


def test_a_button_waits_while_the_forge_cannot_say_who_may(talk: Talk) -> None:
    talk.forge.fail(UNREACHABLE, on="permission_of")
    talk.town.manager.press(talk.town.pressed(talk.number, by=WRITER))
    talk.pass_seconds(MINUTE)
    assert talk.wishes.redeploy is None
    talk.town.start()
    talk.forge.heal()
    talk.pass_seconds(MINUTE)

    assert talk.wishes.redeploy is not None


def test_a_command_whose_webhook_was_lost_is_found_by_a_resync(talk: Talk) -> None:
    talk.pass_seconds(4 * DAY)

    talk.say("/preview remove", heard=False)
    talk.pass_seconds(DAY)
    talk.town.resync()
    talk.pass_seconds(MINUTE)

    assert talk.phase is Phase.EXPIRED
    assert talk.wishes.removal is not None


def test_the_same_webhook_many_times_is_no_more_than_another_reading(talk: Talk) -> None:
    said = talk.ask("/preview extend 24h")
    wished, writes = talk.wishes, list(talk.forge.writes)

    for _ in range(3):
        talk.town.loop.conversation.hear((REPOSITORY, talk.number))
        talk.pass_seconds(MINUTE)

    assert (talk.wishes, talk.forge.writes) == (wished, writes)
    assert talk.reaction(said) == "+1"


def test_a_new_manager_does_nothing_again(talk: Talk) -> None:
    talk.ask("/preview help")
    talk.ask("/preview extend 24h")
    talk.pass_seconds(60)
    wished, writes = talk.wishes, list(talk.forge.writes)

    talk.town.start()
    talk.pass_seconds(MINUTE)

    assert (talk.wishes, talk.forge.writes) == (wished, writes)


def test_comments_are_not_read_while_nothing_happens(talk: Talk) -> None:
    talk.ask("/preview help")
    talk.ask("/preview pin")
    talk.town.resync()
    talk.pass_seconds(MINUTE)
    talk.forge.calls.clear()

    expect_quiet(talk.town)

    assert [each for each in talk.forge.calls if each.startswith("list_comments")] == []


def test_a_lost_memory_repeats_nothing_that_adds_up(talk: Talk) -> None:
    talk.ask("/preview extend 24h")
    talk.ask("/preview help")
    wished, writes = talk.wishes, list(talk.forge.writes)

    talk.town.store = type(talk.town.store)()
    talk.town.start()
    talk.pass_seconds(MINUTE)

    assert talk.wishes.extension == wished.extension
    replies = [
        each for each in talk.forge.comments(REPOSITORY, talk.number) if "reply:" in each.body
    ]
    assert len(replies) == 1
    assert not {each for each in talk.forge.writes[len(writes) :] if each.startswith("react")}


def test_commands_of_long_ago_are_not_obeyed(talk: Talk) -> None:
    removing = talk.say("/preview remove", heard=False)
    talk.pass_seconds(OBEYED_FOR.total_seconds() + 1)

    said = talk.ask("Is it still there?")
    talk.town.resync()
    talk.pass_seconds(MINUTE)

    assert (talk.reaction(removing), talk.reaction(said)) == ("", "")
    assert talk.wishes.removal is None


def test_an_edit_makes_no_command_of_what_was_read(talk: Talk) -> None:
    said = talk.ask("A remark.")

    talk.forge.edit_comment(said, "/preview remove")
    talk.town.loop.conversation.hear((REPOSITORY, talk.number))
    talk.pass_seconds(MINUTE)
    talk.town.start()
    talk.pass_seconds(MINUTE)

    assert talk.phase is Phase.LIVE


def test_what_was_edited_before_it_was_read_counts_as_it_reads_then(talk: Talk) -> None:
    said = talk.say("/preview remove", heard=False)
    talk.pass_seconds(2)
    talk.forge.edit_comment(said, "/preview pin")
    talk.town.loop.conversation.hear((REPOSITORY, talk.number))
    talk.pass_seconds(MINUTE)

    assert talk.wishes.removal is None
    assert talk.wishes.pin is not None


def test_a_command_that_was_deleted_before_it_was_read_asks_for_nothing(talk: Talk) -> None:
    said = talk.say("/preview remove")
    talk.forge.delete_comment(said)
    talk.pass_seconds(MINUTE)

    assert talk.phase is Phase.LIVE


def test_a_command_that_is_deleted_while_it_is_carried_out_is_done(talk: Talk) -> None:
    talk.forge.fail(UNREACHABLE, on="react", times=1)
    said = talk.say("/preview remove")
    talk.pass_seconds(0.01)
    talk.forge.delete_comment(said)
    talk.pass_seconds(MINUTE)

    assert talk.phase is Phase.EXPIRED


def test_a_locked_conversation_keeps_no_command_from_being_done(talk: Talk) -> None:
    talk.forge.fail(REFUSED, on="react")
    talk.forge.fail(REFUSED, on="ensure_comment")

    talk.ask("/preview extend 400d")
    talk.ask("/preview remove")

    assert talk.phase is Phase.EXPIRED
    assert len(talk.town.loop.queues.conversations) == 0


def test_a_pull_request_whose_comments_are_refused_is_left_alone(talk: Talk) -> None:
    talk.forge.fail(REFUSED, on="list_comments")

    talk.ask("/preview remove")

    assert len(talk.town.loop.queues.conversations) == 0
    talk.forge.heal()
    talk.town.resync()
    talk.pass_seconds(MINUTE)
    assert talk.phase is Phase.EXPIRED


def test_a_forge_that_is_away_for_an_hour_delays_commands_and_nothing_else(talk: Talk) -> None:
    talk.forge.fail(UNREACHABLE, on="list_comments")
    talk.ask("/preview sleep")
    talk.town.open()
    talk.pass_seconds(3600)
    assert talk.town.phase(2) is Phase.LIVE
    assert talk.phase is Phase.LIVE

    talk.forge.heal()
    talk.pass_seconds(2 * MINUTE)

    assert talk.wishes.sleep is not None


def test_a_wish_that_is_newer_than_a_late_command_stays(talk: Talk) -> None:
    said = talk.say("/preview pin 2d", heard=False)
    talk.pass_seconds(60)
    talk.town.loop.actions.unpin(key_of(talk.number), actor="grace")
    wished = talk.wishes

    talk.town.loop.conversation.hear((REPOSITORY, talk.number))
    talk.pass_seconds(MINUTE)

    assert talk.wishes == wished
    assert talk.reaction(said) == "+1"


def test_what_is_said_in_the_same_second_after_a_reading_is_heard(talk: Talk) -> None:
    talk.say("/preview help")
    talk.pass_seconds(0)
    late = talk.say("/preview remove", heard=False)
    talk.pass_seconds(MINUTE)

    assert talk.reaction(late) == "+1"


def test_a_command_from_a_clock_that_is_ahead_waits_for_ours(talk: Talk) -> None:
    talk.town.clock.wrong_by = timedelta(seconds=30)
    said = talk.say("/preview remove")
    talk.town.clock.wrong_by = timedelta()

    talk.pass_seconds(20)
    assert talk.reaction(said) == ""
    talk.pass_seconds(60)

    assert talk.reaction(said) == "+1"
    assert talk.phase is Phase.EXPIRED


@pytest.fixture
def fork() -> Iterator[Talk]:
    talk = Talk(policy=FORKS, from_fork=True)
    assert (talk.phase, talk.record.reason) == (Phase.BLOCKED, "ForkNotApproved")
    yield talk
    approval = talk.wishes.approval
    if talk.phase is Phase.LIVE:
        assert approval is not None
        assert approval.head_sha == talk.forge.pull_request(REPOSITORY, talk.number).head_sha


def test_a_commit_of_a_fork_runs_when_it_was_approved(fork: Talk) -> None:
    said = fork.ask("/preview approve")

    assert fork.phase is Phase.LIVE
    assert fork.reaction(said) == "+1"


def test_a_push_voids_the_approval(fork: Talk) -> None:
    fork.ask("/preview approve")

    fork.town.push(fork.number)
    fork.pass_seconds(MINUTE)
    assert fork.town.phase(fork.number) is Phase.BLOCKED

    fork.ask("/preview approve")
    assert fork.phase is Phase.LIVE


def test_a_push_that_came_before_the_approval_was_read_voids_it(fork: Talk) -> None:
    said = fork.say("/preview approve", heard=False)
    fork.pass_seconds(2)
    fork.town.push(fork.number)
    fork.pass_seconds(2)
    fork.town.loop.conversation.hear((REPOSITORY, fork.number))
    fork.pass_seconds(MINUTE)

    assert fork.phase is Phase.BLOCKED
    assert fork.reaction(said) == "confused"
    assert "was first seen after it was approved" in fork.reply(said)
    assert fork.wishes.approval is None


def test_a_push_that_nobody_heard_of_voids_the_approval_as_well(fork: Talk) -> None:
    said = fork.say("/preview approve")
    fork.forge.push(REPOSITORY, fork.number)
    fork.pass_seconds(1)

    assert fork.reaction(said) == "confused"
    assert fork.wishes.approval is None


@pytest.mark.parametrize("ahead", [3, 59])
@pytest.mark.parametrize("heard", [True, False])
def test_a_push_after_the_approval_is_not_approved_by_a_forge_whose_clock_is_ahead(
    fork: Talk, *, ahead: float, heard: bool
) -> None:
    fork.town.clock.wrong_by = timedelta(seconds=ahead)
    said = fork.say("/preview approve", heard=heard)
    fork.town.clock.wrong_by = timedelta()
    fork.pass_seconds(1)
    fork.town.push(fork.number)
    fork.pass_seconds(2 * MINUTE)
    fork.town.loop.conversation.hear((REPOSITORY, fork.number))
    fork.pass_seconds(2 * MINUTE)

    assert fork.reaction(said) == "confused"
    assert (fork.phase, fork.wishes.approval) == (Phase.BLOCKED, None)


def test_a_commit_of_a_moment_ago_is_approved_by_its_id_alone(fork: Talk) -> None:
    fork.town.push(fork.number)
    fork.pass_seconds(30)
    head_sha = fork.forge.pull_request(REPOSITORY, fork.number).head_sha

    refused = fork.ask("/preview approve")
    assert "or by its whole id" in fork.reply(refused)
    assert fork.wishes.approval is None

    said = fork.ask(f"/preview approve {head_sha}")
    fork.pass_seconds(MINUTE)
    assert (fork.phase, fork.reaction(said)) == (Phase.LIVE, "+1")


def test_an_approval_by_id_is_of_no_other_commit(fork: Talk) -> None:
    read = fork.forge.pull_request(REPOSITORY, fork.number).head_sha
    fork.town.push(fork.number)
    fork.pass_seconds(2 * MINUTE)

    late = fork.ask(f"/preview approve {read}")
    short = fork.ask(f"/preview approve {read[:12]}")

    assert f"and not {short_sha(read)}" in fork.reply(late)
    assert "is not a commit's whole id" in fork.reply(short)
    assert (fork.phase, fork.wishes.approval) == (Phase.BLOCKED, None)


def test_an_approval_by_id_waits_until_the_push_was_read(fork: Talk) -> None:
    fork.forge.push(REPOSITORY, fork.number)
    head_sha = fork.forge.pull_request(REPOSITORY, fork.number).head_sha
    fork.town.push_image(fork.number)

    said = fork.ask(f"/preview approve {head_sha}")
    fork.pass_seconds(2 * MINUTE)

    assert (fork.phase, fork.reaction(said)) == (Phase.LIVE, "+1")


def test_only_a_person_who_may_write_approves(fork: Talk) -> None:
    said = fork.ask("/preview approve", author="stranger")

    assert (fork.phase, fork.reaction(said)) == (Phase.BLOCKED, "confused")
    assert fork.wishes == Wishes()


def test_asking_for_a_preview_of_a_fork_approves_nothing(fork: Talk) -> None:
    said = fork.ask("/preview")

    assert fork.phase is Phase.BLOCKED
    assert "say /preview approve" in fork.reply(said)


def test_there_is_nothing_to_approve_without_a_fork(talk: Talk) -> None:
    said = talk.ask("/preview approve")

    assert "is not from a fork" in talk.reply(said)
    assert WRITER not in talk.reply(said)
