"""A repository's `.previews.yaml` in the running manager: it narrows, may be broken, and costs few requests."""

from datetime import timedelta

from previews.domain.lifetime import LifetimePolicy
from previews.domain.policy import Policy
from previews.domain.preview import Phase
from previews.domain.repository_rules import RULES_FILE as RULES
from previews.errors import TransientError
from tests.fakes.surroundings import REPOSITORY
from tests.unit.lives import DAY, HOUR, MINUTE, deleted
from tests.unit.policy_town import (
    MANY,
    asked_of,
    busy_town,
    expect_gone,
    fork,
    relabel,
    stands,
    town_of,
)


def test_rules_that_want_none_of_them_meet_the_brake_and_may_be_taken_back() -> None:
    town, numbers = busy_town()
    town.forge.write_file(REPOSITORY, RULES, "labels: {any: [preview]}")
    for _ in range(3):
        town.settle(HOUR)
        town.resync()
    town.settle(HOUR)
    assert deleted(town) == 0
    assert len(town.loop.brake_state().held) == MANY
    town.forge.write_file(REPOSITORY, RULES, None)
    town.settle(2 * HOUR)
    town.resync()
    town.settle(HOUR)
    assert not town.loop.brake_state().holds
    assert {stands(town, number) for number in numbers} == {(Phase.LIVE, "Live")}


def test_a_restart_under_rules_that_want_none_of_them_meets_the_brake() -> None:
    town, _ = busy_town()
    town.forge.write_file(REPOSITORY, RULES, "previews: false")
    town.start()
    town.settle(HOUR)
    assert deleted(town) == 0
    assert len(town.loop.brake_state().held) == MANY


def test_a_repository_narrows_what_the_server_allows_and_never_widens_it() -> None:
    town = town_of(Policy(target_branches=("main", "next")))
    town.forge.write_file(REPOSITORY, RULES, "{drafts: true, titles: ['feat: *'], forks: approve}")
    plain, wanted = town.open(title="A change"), town.open(title="feat: a basket", branch="b")
    draft = town.forge.open_pull_request(REPOSITORY, "c", "feat: x", is_draft=True)
    town.deliver(draft)
    a_fork = fork(town)
    town.settle(HOUR)
    expect_gone(town, plain, "TitleNotWanted")
    assert town.phase(wanted) is Phase.LIVE
    expect_gone(town, draft, "Draft")
    expect_gone(town, a_fork, "ForksAreOff")


def test_rules_on_the_head_of_a_pull_request_change_nothing() -> None:
    town = town_of()
    town.forge.write_file(REPOSITORY, RULES, "previews: false")
    number = town.forge.open_pull_request(REPOSITORY, files={RULES: "previews: true"})
    town.push_image(number)
    town.deliver(number)
    town.settle(HOUR)
    expect_gone(town, number, "PreviewsAreOff")


def test_a_repository_makes_its_previews_lives_shorter() -> None:
    town = town_of(lifetime=LifetimePolicy(ttl=timedelta(days=7)))
    town.forge.write_file(REPOSITORY, RULES, "{ttl: 1d, projects: {shop: {ttl: 300d}}}")
    number = town.open()
    town.settle(HOUR)
    expiry = town.record(number).expiry
    assert expiry is not None
    assert expiry.ttl == timedelta(days=1)
    town.settle(DAY)
    assert stands(town, number) == (Phase.EXPIRED, "Expired")


def test_a_broken_file_brings_nothing_new_and_takes_nothing_away() -> None:
    town = town_of()
    town.forge.write_file(REPOSITORY, RULES, "source_branches: ['feature*']")
    there = town.open()
    town.settle(HOUR)
    town.forge.write_file(REPOSITORY, RULES, "drafts: true\nprevews: false\n")
    town.start()
    new = town.open(branch="feature-2")
    town.settle(HOUR)
    assert stands(town, there) == (Phase.LIVE, "Live")
    expect_gone(town, new, "RulesBroken")
    assert "line 2: there is no key 'prevews'" in town.record(new).message
    town.store = type(town.store)()
    town.start()
    town.settle(HOUR)
    assert stands(town, there) == (Phase.LIVE, "Live"), "Git says that it is there"
    town.forge.write_file(REPOSITORY, RULES, "drafts: true")
    town.settle(2 * HOUR)
    town.resync()
    town.settle(HOUR)
    assert stands(town, new) == (Phase.LIVE, "Live")


def test_while_a_file_is_broken_the_last_good_one_counts() -> None:
    town = town_of()
    town.forge.write_file(REPOSITORY, RULES, "labels: {none: [no-preview]}")
    number = town.open()
    town.settle(HOUR)
    town.forge.write_file(REPOSITORY, RULES, "][")
    town.settle(2 * HOUR)
    town.resync()
    town.settle(HOUR)
    assert stands(town, number) == (Phase.LIVE, "Live")
    relabel(town, number, "no-preview")
    expect_gone(town, number, "LabelForbids")


def test_rules_are_read_anew_when_something_was_merged_and_else_seldom() -> None:
    town = town_of()
    first, second = town.open(), town.open(branch="b")
    for _ in range(20):
        town.resync()
        town.settle(MINUTE)
    assert asked_of(town, "read_file") == 1
    town.forge.write_file(REPOSITORY, RULES, "source_branches: ['feature']")
    town.close(second)
    town.settle(MINUTE)
    town.resync()
    assert asked_of(town, "read_file") == 2
    third = town.open(branch="c")
    town.settle(MINUTE)
    assert stands(town, first) == (Phase.LIVE, "Live")
    expect_gone(town, third, "BranchNotWanted")
    assert asked_of(town, "read_file") == 2


def test_rules_that_cannot_be_read_bring_nothing_and_take_nothing_away() -> None:
    town = town_of()
    there = town.open()
    town.settle(HOUR)
    town.forge.fail(TransientError("ForgeForbidden", "no contents"), on="read_file")
    town.start()
    new = town.open(branch="b")
    town.settle(HOUR)
    assert town.left_of(new) == set()
    assert stands(town, there) == (Phase.LIVE, "ForgeForbidden")
    town.close(there)
    town.settle(HOUR)
    assert town.phase(there) is Phase.REMOVED, "whoever is closed goes without them"
    town.forge.heal()
    town.settle(HOUR)
    assert stands(town, new) == (Phase.LIVE, "Live")
