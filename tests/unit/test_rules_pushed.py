"""A push to a base branch: its rules are read at once, once for many pushes, and not for a branch that nobody needs."""

from previews.domain.preview import Phase
from previews.domain.repository_rules import RULES_FILE as RULES
from previews.errors import TransientError
from tests.fakes.surroundings import REPOSITORY
from tests.fakes.town import Town
from tests.unit.lives import HOUR, MINUTE, deleted
from tests.unit.policy_town import MANY, asked_of, busy_town, expect_gone, stands, town_of

MAIN = (REPOSITORY, "main")
NO_ANSWER = TransientError("ForgeUnreachable", "no answer")


def push_rules(town: Town, text: str | None, branch: str = "main") -> None:
    """Somebody commits them, and the forge says that the branch was pushed to."""
    town.forge.write_file(REPOSITORY, RULES, text, branch=branch)
    town.loop.policies.pushed((REPOSITORY, branch))


def test_rules_that_were_pushed_count_within_seconds() -> None:
    town = town_of()
    number = town.open()
    town.settle()
    push_rules(town, "previews: false")
    town.settle(MINUTE)
    expect_gone(town, number, "PreviewsAreOff")
    push_rules(town, None)
    town.settle(MINUTE)
    assert stands(town, number) == (Phase.LIVE, "Live")


def test_many_pushes_are_one_reading() -> None:
    town = town_of()
    town.open()
    town.settle()
    before = asked_of(town, "read_file")
    for _ in range(50):
        town.loop.policies.pushed(MAIN)
    town.settle(MINUTE)
    assert asked_of(town, "read_file") == before + 1


def test_a_push_that_changes_no_rules_has_nothing_looked_at() -> None:
    town = town_of()
    number = town.open()
    town.settle()
    before, calls = town.record(number), len(town.forge.calls)
    push_rules(town, None)
    town.settle(MINUTE)
    assert town.record(number) == before
    assert [each for each in town.forge.calls[calls:] if not each.startswith("read_file")] == []


def test_a_push_to_a_branch_that_nobody_uses_as_base_costs_nothing() -> None:
    town = town_of()
    number = town.open()
    town.settle()
    calls = len(town.forge.calls)
    town.loop.policies.pushed((REPOSITORY, "feature"))
    town.loop.policies.pushed((REPOSITORY, "next"))
    town.settle(MINUTE)
    assert len(town.forge.calls) == calls
    town.close(number)
    town.settle(HOUR)
    calls = len(town.forge.calls)
    town.loop.policies.pushed(MAIN)
    town.settle(MINUTE)
    assert len(town.forge.calls) == calls, "no pull request into it is open any more"


def test_whoever_comes_after_a_push_comes_by_the_new_rules() -> None:
    town = town_of()
    number = town.open()
    town.settle()
    town.close(number)
    town.settle()
    push_rules(town, "source_branches: ['feature']")
    town.settle(10)
    new = town.open(branch="b")
    town.settle(MINUTE)
    expect_gone(town, new, "BranchNotWanted")


def test_rules_that_are_pushed_right_after_a_reading_that_failed_are_read() -> None:
    town = town_of()
    number = town.open()
    town.settle(HOUR)
    town.forge.fail(NO_ANSWER, on="read_file", times=1)
    town.resync()
    push_rules(town, "previews: false")
    town.settle(20)
    expect_gone(town, number, "PreviewsAreOff")


def test_whoever_comes_after_a_push_comes_by_the_new_rules_although_a_reading_failed_before() -> (
    None
):
    town = town_of()
    town.open()
    town.settle(HOUR)
    town.forge.fail(NO_ANSWER, on="read_file", times=1)
    before = town.open(branch="b")
    town.settle(10)
    assert stands(town, before) == (Phase.LIVE, "Live"), "what was read last counts"
    for number in (1, before):
        town.close(number)
    town.settle(1)
    push_rules(town, "previews: false")
    town.settle(10)
    new = town.open(branch="c")
    town.settle(20)
    expect_gone(town, new, "PreviewsAreOff")


def comment_of(town: Town, number: int) -> str:
    (only,) = town.forge.comments(REPOSITORY, number)
    return only.body


def test_a_broken_file_is_shown_on_a_preview_that_is_there_and_takes_nothing_away() -> None:
    town = town_of()
    push_rules(town, "titles: ['!wip*']")
    number = town.open()
    town.settle()
    assert "until it is mended" not in comment_of(town, number)
    push_rules(town, "drafts: true\nprevews: false\n")
    town.settle(MINUTE)
    assert stands(town, number) == (Phase.LIVE, "Live")
    assert "of main, line 2: there is no key 'prevews'" in comment_of(town, number)
    assert "what it said before that counts" in comment_of(town, number)
    town.start()
    town.settle(MINUTE)
    assert "what the server allows counts" in comment_of(town, number)
    writes = len(town.forge.writes)
    town.resync()
    town.settle(HOUR)
    assert len(town.forge.writes) == writes
    push_rules(town, "drafts: true")
    town.settle(MINUTE)
    assert "line 2" not in comment_of(town, number)
    assert stands(town, number) == (Phase.LIVE, "Live")


def test_rules_that_were_pushed_and_want_none_of_many_meet_the_brake() -> None:
    town, _ = busy_town()
    push_rules(town, "previews: false")
    town.settle(MINUTE)
    assert deleted(town) == 0
    assert len(town.loop.brake_state().held) == MANY


def test_rules_that_cannot_be_read_after_a_push_are_read_by_a_resync() -> None:
    town = town_of()
    number = town.open()
    town.settle()
    town.forge.fail(NO_ANSWER, on="read_file")
    push_rules(town, "previews: false")
    town.settle(MINUTE)
    assert stands(town, number) == (Phase.LIVE, "Live")
    town.forge.heal()
    town.settle(2 * MINUTE)
    town.resync()
    town.settle(MINUTE)
    expect_gone(town, number, "PreviewsAreOff")
