"""The long journeys: a changed template, a changed configuration, a lost store, a branch that somebody rewrote."""

from datetime import timedelta

import pytest

from previews.domain.preview import Mode, Phase
from previews.errors import ActionRefusedError
from tests.fakes.surroundings import OWN_DATABASE
from tests.fakes.town import Town, project
from tests.unit.lives import (
    DAY,
    DAYS_3,
    HOUR,
    MINUTE,
    comment,
    deleted,
    expect_quiet,
    key_of,
    lose_the_store,
    mode_in_git,
    parameters_in_git,
    said_in_git,
    town_of,
)


def upgrade(town: Town, version: str) -> None:
    """The chart's version is raised in the configuration, and the manager starts anew."""
    before = town.projects["shop"]
    values = {"version": version}
    helm = type(before.helm)(
        repository_url=before.helm.repository_url, path="app", revision="main", values=values
    )
    town.projects["shop"] = type(before)(
        **{
            name: getattr(before, name)
            for name in type(before).__dataclass_fields__
            if name != "helm"
        },
        helm=helm,
    )
    town.start()


def upgraded(town: Town, version: str, *, count: int) -> int:
    """How many previews Git has with this version."""
    return sum(
        f'"version": "{version}"' in town.gitops.files[f"shop/{n // 20}/pr-{n}/application.yaml"]
        for n in range(1, count + 1)
    )


def test_a_new_version_reaches_everybody_a_few_at_a_time() -> None:
    town = town_of(rewrites_at_most=3)
    numbers = [town.open() for _ in range(10)]
    town.settle()
    town.argocd.deploys = False
    upgrade(town, "2")
    town.settle()
    assert upgraded(town, "2", count=10) == 3
    under_way = {n for n in numbers if town.phase(n) is not Phase.LIVE}
    assert len(under_way) == 3
    town.argocd.finishes(f"shop-pr-{min(under_way)}")
    town.settle()
    assert upgraded(town, "2", count=10) == 4
    town.argocd.deploys = True
    for number in sorted(under_way - {min(under_way)}):
        town.argocd.finishes(f"shop-pr-{number}")
    town.settle(10 * MINUTE)
    for number in numbers:
        town.argocd.finishes(f"shop-pr-{number}")
    town.settle(10 * MINUTE)
    assert upgraded(town, "2", count=10) == 10
    assert {town.phase(n) for n in numbers} == {Phase.LIVE}
    expect_quiet(town)


def break_version(town: Town) -> None:
    """Whatever is applied from now on never gets well."""
    town.argocd.deploys = False


def fail_what_was_applied(town: Town) -> set[str]:
    failed = set()
    for name, found in list(town.cluster.applications.items()):
        if found.owner is not None and not found.proven_for_spec:
            town.argocd.finishes(name, health="Degraded")
            failed.add(name)
    return failed


def test_a_broken_version_stops_after_a_few_and_the_rest_stays_live() -> None:
    town = town_of(rewrites_at_most=3)
    numbers = [town.open() for _ in range(10)]
    town.settle()
    break_version(town)
    upgrade(town, "2")
    for _ in range(5):
        town.settle(30 * MINUTE)
        fail_what_was_applied(town)
    assert upgraded(town, "2", count=10) == 3
    assert sum(town.phase(n) is Phase.DEGRADED for n in numbers) == 3
    assert sum(town.phase(n) is Phase.LIVE for n in numbers) == 7
    assert (town.loop.brake_state().rewrites_failing, town.loop.brake_state().rewrites_waiting) == (
        3,
        7,
    )
    town.start()
    town.settle(30 * MINUTE)
    assert upgraded(town, "2", count=10) == 3, "a restart lets no more of it through"
    expect_quiet(town)
    town.argocd.deploys = True
    upgrade(town, "3")
    town.settle(30 * MINUTE)
    assert upgraded(town, "3", count=10) == 10
    assert {town.phase(n) for n in numbers} == {Phase.LIVE}
    expect_quiet(town)


def test_a_person_lets_a_rollout_that_stands_go_on() -> None:
    town = town_of(rewrites_at_most=2)
    for _ in range(6):
        town.open()
    town.settle()
    break_version(town)
    upgrade(town, "2")
    town.settle()
    fail_what_was_applied(town)
    town.settle()
    assert upgraded(town, "2", count=6) == 2
    town.confirm_brake("alice")
    town.settle()
    assert 2 < upgraded(town, "2", count=6) <= 4


def test_a_push_takes_the_new_version_without_waiting_for_a_turn() -> None:
    town = town_of(rewrites_at_most=1)
    for _ in range(4):
        town.open()
    town.settle()
    break_version(town)
    upgrade(town, "2")
    town.settle()
    fail_what_was_applied(town)
    town.settle()
    town.push(4)
    town.settle()
    text = town.gitops.files["shop/0/pr-4/application.yaml"]
    assert '"version": "2"' in text


def test_those_that_fall_asleep_while_a_rollout_stands_wait_for_their_turn_as_well() -> None:
    """A night must not carry a broken version to everybody."""
    town = town_of(rewrites_at_most=2)
    for _ in range(8):
        town.open()
    town.settle()
    break_version(town)
    upgrade(town, "2")
    town.settle()
    fail_what_was_applied(town)
    town.settle()
    for number in range(1, 9):
        town.loop.actions.sleep(key_of(number), actor="alice")
    town.settle(HOUR)
    for number in range(1, 9):
        town.loop.actions.wake(key_of(number), actor="alice")
    town.settle(HOUR)
    assert upgraded(town, "2", count=8) == 2


def test_a_project_taken_out_stays_until_it_is_drained_with_receipts() -> None:
    town = Town([project("api"), project("shop")])
    number = town.open("api")
    shop = town.open("shop")
    town.settle()
    files = dict(town.gitops.files)
    api = town.projects.pop("api")
    town.start()
    town.settle(DAY)
    assert town.gitops.files == files
    record = town.record(number, "api")
    assert (record.phase, record.reason) == (Phase.BLOCKED, "ProjectNotConfigured")
    assert "previews drain api" in record.message
    expect_quiet(town)
    assert town.loop.actions.drain("api", actor="alice") == [record.key]
    town.settle(HOUR)
    town.projects["api"] = api
    assert town.left_of(number, "api") == set()
    del town.projects["api"]
    receipt = town.record(number, "api").removal
    assert receipt is not None
    assert receipt.finished_at is not None
    assert (receipt.cause, receipt.by) == ("Drained", "alice")
    assert town.phase(shop) is Phase.LIVE
    expect_quiet(town)


def test_what_nobody_remembers_and_git_does_not_have_is_drained() -> None:
    town = Town([project("api"), project("shop", database=OWN_DATABASE)])
    number = town.open()
    town.settle()
    left = dict(town.databases.databases)
    town.close(number)
    town.settle(HOUR)
    town.databases.databases.update(left)
    del town.projects["shop"]
    lose_the_store(town)
    town.settle(HOUR)
    assert town.databases.databases == left
    assert town.loop.actions.drain("shop", actor="alice") == [town.record(number).key]
    town.clock.seconds += 1
    town.settle(HOUR)
    assert town.databases.databases == {}
    assert town.phase(number) is Phase.REMOVED


def test_a_project_in_the_configuration_is_not_drained() -> None:
    town = Town()
    town.open()
    town.settle()
    with pytest.raises(ActionRefusedError, match="take it out first"):
        town.loop.actions.drain("shop", actor="alice")


def test_a_removal_of_long_ago_drains_nothing_when_its_project_is_taken_out() -> None:
    town = Town([project("api"), project("shop")])
    number = town.open("api")
    town.settle()
    key = town.record(number, "api").key
    town.loop.actions.remove(key, actor="alice")
    town.settle(HOUR)
    town.loop.actions.wake(key, actor="alice")
    town.settle(DAY)
    assert town.phase(number, "api") is Phase.LIVE
    files = dict(town.gitops.files)
    del town.projects["api"]
    town.start()
    town.settle(DAY)
    assert town.gitops.files == files


def test_a_project_that_comes_back_finds_its_previews_as_they_were() -> None:
    town = Town([project("api"), project("shop")])
    number = town.open("api")
    town.settle()
    files = dict(town.gitops.files)
    api = town.projects.pop("api")
    town.start()
    town.settle(HOUR)
    town.projects["api"] = api
    town.start()
    town.settle(HOUR)
    assert town.phase(number, "api") is Phase.LIVE
    assert town.gitops.files == files
    assert deleted(town) == 0
    expect_quiet(town)


@pytest.mark.fault(24)
def test_an_emptied_branch_is_restored_and_nothing_is_removed_for_it() -> None:
    town = town_of(DAYS_3)
    numbers = [town.open() for _ in range(30)]
    town.settle()
    files = dict(town.gitops.files)
    town.gitops.commit_as_another(dict.fromkeys(files))
    town.resync()
    town.settle(10 * MINUTE)
    assert town.gitops.files == files
    assert deleted(town) == 0
    assert {town.phase(n) for n in numbers} == {Phase.LIVE}
    expect_quiet(town)


@pytest.mark.fault(24)
def test_a_branch_set_back_to_an_older_commit_is_restored_and_by_a_new_process_too() -> None:
    town = town_of(DAYS_3)
    first = town.open()
    town.settle()
    old = town.gitops.history[-1].id
    later = [town.open() for _ in range(5)]
    town.settle()
    town.push(first)
    town.loop.actions.pin(key_of(first), timedelta(days=9), actor="alice")
    town.settle()
    files = dict(town.gitops.files)
    town.gitops.set_back_to(old)
    town.resync()
    town.settle(10 * MINUTE)
    assert town.gitops.files == files
    assert deleted(town) == 0
    assert {town.phase(n) for n in (first, *later)} == {Phase.LIVE}
    expect_quiet(town)
    town.gitops.set_back_to(old)
    town.start()
    town.settle(10 * MINUTE)
    assert town.gitops.files == files
    assert {town.phase(n) for n in (first, *later)} == {Phase.LIVE}
    expect_quiet(town)


def test_a_branch_set_back_with_the_store_lost_as_well_restores_what_is_open() -> None:
    town = town_of(DAYS_3)
    first = town.open()
    town.settle()
    old = town.gitops.history[-1].id
    later = [town.open() for _ in range(5)]
    town.settle()
    town.gitops.set_back_to(old)
    lose_the_store(town)
    town.settle(10 * MINUTE)
    assert {town.phase(n) for n in (first, *later)} == {Phase.LIVE}


def test_a_lost_store_writes_nothing_at_all() -> None:
    town = town_of(DAYS_3)
    awake, asleep, redeployed = (town.open() for _ in range(3))
    town.settle()
    town.loop.actions.sleep(key_of(asleep), actor="alice")
    town.loop.actions.redeploy(key_of(redeployed), actor="bob")
    town.settle(HOUR)
    pushes = town.gitops.pushes
    lose_the_store(town)
    town.settle(HOUR)
    assert town.gitops.pushes == pushes
    assert deleted(town) == 0
    phases = [town.phase(n) for n in (awake, asleep, redeployed)]
    assert phases == [Phase.LIVE, Phase.ASLEEP, Phase.LIVE]
    expect_quiet(town)


def test_a_store_of_yesterday_takes_nobody_awake_away_from_its_visitors() -> None:
    """It slept yesterday, it is awake today: nothing has to change in Git for it."""
    town = town_of(DAYS_3)
    number = town.open()
    town.settle()
    town.loop.actions.sleep(key_of(number), actor="alice")
    town.settle(HOUR)
    record, wishes = town.record(number), town.store.load_wishes(key_of(number))
    town.loop.actions.wake(key_of(number), actor="bob")
    town.settle(HOUR)
    assert mode_in_git(town, number) is Mode.AWAKE
    pushes = town.gitops.pushes
    town.store = type(town.store)()
    town.store.save(record)
    town.store.save_wishes(key_of(number), wishes)
    town.start()
    town.settle(HOUR)
    assert (town.phase(number), mode_in_git(town, number)) == (Phase.LIVE, Mode.AWAKE)
    assert town.gitops.pushes == pushes


@pytest.mark.fault(19)
def test_an_expired_preview_stays_expired_with_a_store_of_yesterday() -> None:
    town = town_of(DAYS_3)
    number = town.open()
    town.settle(2 * DAY)
    record = town.record(number)
    town.settle(2 * DAY)
    assert town.phase(number) is Phase.EXPIRED
    pushes = town.gitops.pushes
    town.store = type(town.store)()
    town.store.save(record)
    town.start()
    town.settle(HOUR)
    assert town.phase(number) is Phase.EXPIRED
    assert town.left_of(number) == set()
    assert town.gitops.pushes == pushes


def test_an_expired_preview_with_the_store_lost_lives_once_more_and_expires_again() -> None:
    """Nothing of it is left anywhere to tell of it. Its pull request is open: it gets one more life."""
    town = town_of(DAYS_3)
    number = town.open()
    town.settle(4 * DAY)
    assert town.phase(number) is Phase.EXPIRED
    lose_the_store(town)
    town.settle(HOUR)
    assert town.phase(number) is Phase.LIVE
    town.settle(3 * DAY)
    assert town.phase(number) is Phase.EXPIRED
    expect_quiet(town)


def test_all_removed_by_hand_go_with_receipts_and_past_the_brake() -> None:
    town = town_of(DAYS_3)
    numbers = [town.open() for _ in range(40)]
    town.settle()
    assert len(town.loop.actions.remove_all(actor="alice")) == 40
    town.settle(10 * MINUTE)
    assert {town.phase(n) for n in numbers} == {Phase.EXPIRED}
    assert not [path for path in town.gitops.files if "/pr-" in path]
    for number in numbers:
        receipt = town.record(number).removal
        assert receipt is not None
        assert receipt.finished_at is not None
        assert receipt.by == "alice"
        assert "removed by alice" in comment(town, number)
    expect_quiet(town)


def test_a_redeployment_changes_one_parameter_and_nothing_else() -> None:
    town = town_of(DAYS_3)
    number, other = town.open(), town.open()
    town.settle(HOUR)
    before, others = parameters_in_git(town, number), parameters_in_git(town, other)
    namespace = town.gitops.files[f"shop/0/pr-{number}/namespace.yaml"]
    town.loop.actions.redeploy(key_of(number), actor="alice")
    town.settle()
    after = dict(parameters_in_git(town, number))
    assert after.pop("global.previews.redeployedAt") == "2026-03-02T10:00:00+00:00"
    assert after == before
    assert parameters_in_git(town, other) == others
    said = said_in_git(town, number)
    assert said["redeploy-asked"] == "2026-03-02T10:00:00Z alice"
    assert namespace != town.gitops.files[f"shop/0/pr-{number}/namespace.yaml"]
    assert town.phase(number) is Phase.LIVE
    assert town.cluster.deleted.total() == 0
    expect_quiet(town)
    town.push(number)
    town.settle()
    assert parameters_in_git(town, number)["global.previews.redeployedAt"].startswith("2026-03-02")
