"""Each preview's own database, from its pull request's point of view: the whole manager on fakes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from previews.domain.naming import names_of
from previews.domain.preview import Phase
from previews.reconcile.warm_pool import Pool
from tests.fakes.surroundings import OWN_DATABASE, SERVER, TEMPLATE
from tests.fakes.town import REPOSITORY, Town, project
from tests.unit.database_town import arrive, can_log_in, key, town_with


@pytest.fixture
def town() -> Town:
    return town_with()


def test_a_preview_gets_a_database_of_its_own_and_the_secret_that_opens_it(town: Town) -> None:
    one, two = town.open(), town.open(branch="other")
    town.settle()

    assert {town.phase(number) for number in (one, two)} == {Phase.LIVE}
    for number in (one, two):
        arrive(town, number)
        assert can_log_in(town, number)
    assert len(set(town.databases.passwords.values())) == 2


def test_when_nothing_changes_nothing_is_done_to_the_server(town: Town) -> None:
    town.open()
    town.settle()
    done: list[str] = []
    town.databases.on_operation = lambda when, name: done.append(name) if when == "before" else None

    for _ in range(20):
        town.manager.reconcile_all()
        town.settle()

    assert done == []


def test_closing_takes_database_and_role_away_last_of_all(town: Town) -> None:
    number = town.open()
    town.settle()

    town.close(number)
    town.settle()

    assert town.databases.databases == {}
    removal = town.record(number).removal
    assert removal is not None
    assert removal.finished_at is not None
    assert removal.gone[-1].kind == "Database and role"
    assert town.secrets.withdrawn[0] == (key(number), "database")


def test_what_no_force_ends_is_the_reason_until_it_is_gone(town: Town) -> None:
    number = town.open()
    town.settle()
    town.databases.hold(key(number), "database is used by an active logical replication slot")

    town.close(number)
    town.settle()
    stuck = town.record(number)
    town.databases.let_go(key(number))
    town.settle(120)

    assert (stuck.phase, stuck.reason, stuck.failed) == (Phase.REMOVING, "DatabaseInUse", True)
    assert "replication slot" in stuck.message
    assert town.phase(number) is Phase.REMOVED
    assert town.databases.databases == {}


def test_what_bears_its_name_and_is_not_ours_is_never_touched(town: Town) -> None:
    town.databases.put_foreign(key(1))
    number = town.open()
    town.settle()

    record = town.record(number)
    assert record.reason == "DatabaseNotOurs"
    assert record.failed
    assert town.databases.databases["preview_shop_pr_1"].key is None


def test_a_missing_template_is_the_reason_and_nothing_reaches_git(town: Town) -> None:
    del town.databases.builds[TEMPLATE]
    number = town.open()
    town.settle()
    before = town.record(number)
    town.databases.put_template(TEMPLATE, town.clock.now())
    town.settle()

    assert (before.reason, before.manifests) == ("TemplateMissing", None)
    assert town.phase(number) is Phase.LIVE


def test_a_server_that_is_away_is_waited_for(town: Town) -> None:
    town.databases.fail()
    number = town.open()
    town.settle()
    reason = town.record(number).reason
    town.databases.recover()
    town.settle()

    assert reason == "DatabaseServerUnreachable"
    assert town.phase(number) is Phase.LIVE


def test_a_server_that_is_away_takes_nothing_down_that_is_live(town: Town) -> None:
    number = town.open()
    town.settle()
    town.databases.fail()

    town.start()
    town.manager.reconcile_all()
    town.settle()

    assert town.phase(number) is Phase.LIVE


def test_a_lost_store_does_not_keep_the_database_of_a_closed_pull_request(town: Town) -> None:
    number = town.open()
    town.settle()
    town.store = type(town.store)()
    town.forge.close(REPOSITORY, number)

    town.start()
    town.settle(180)

    assert town.databases.databases == {}


def test_what_is_only_half_made_is_finished(town: Town) -> None:
    town.databases.put_half_made(key(1))
    number = town.open()
    town.settle()

    assert town.phase(number) is Phase.LIVE
    assert town.databases.databases["preview_shop_pr_1"].is_ready


def test_a_database_that_was_dropped_by_hand_is_made_again(town: Town) -> None:
    number = town.open()
    town.settle()
    town.databases.databases.clear()

    town.resync()
    town.settle()

    assert town.phase(number) is Phase.LIVE
    arrive(town, number)
    assert can_log_in(town, number)


def test_reopened_during_removal_it_gets_a_new_database_that_stays(town: Town) -> None:
    number = town.open()
    town.settle()
    before = town.record(number).grant
    town.close(number)
    town.settle(3)
    town.forge.reopen(REPOSITORY, number)
    town.deliver(number)
    town.settle(180)

    after = town.record(number).grant
    assert town.phase(number) is Phase.LIVE
    assert before is not None
    assert after is not None
    assert after.incarnation != before.incarnation
    assert set(town.databases.databases) == {"preview_shop_pr_1"}


def test_a_project_taken_out_and_drained_loses_its_databases(town: Town) -> None:
    number = town.open()
    town.settle()
    town.projects = {"cart": project("cart")}
    town.start()
    town.settle()
    kept = set(town.databases.databases)

    town.loop.actions.drain("shop", actor="ops")
    town.settle(180)

    assert kept == {f"preview_shop_pr_{number}"}
    assert town.databases.databases == {}


def test_what_was_left_on_a_server_is_an_orphan_and_reclaimed_after_its_grace(town: Town) -> None:
    number = town.open()
    town.settle()
    town.close(number)
    town.settle()
    town.databases.put_half_made(key(number))

    for _ in range(4):
        town.clock.seconds += 600
        town.manager.collect()
    town.settle()

    assert town.databases.databases == {}


def test_many_at_once_are_made_one_after_the_other(town: Town) -> None:
    under_way: list[int] = []
    depth = 0

    def count(when: str, name: str) -> None:
        nonlocal depth
        if name == "create":
            depth += 1 if when == "before" else -1
            under_way.append(depth)

    town.databases.on_operation = count
    numbers = [town.open(branch=f"b{index}") for index in range(12)]
    town.settle(180)

    assert {town.phase(number) for number in numbers} == {Phase.LIVE}
    assert max(under_way) == 1


def test_a_preview_that_closes_while_it_waits_for_its_turn_holds_up_nobody(town: Town) -> None:
    town.databases.fail("TemplateMissing", stalled=True)
    first = town.open()
    second = town.open(branch="other")
    town.settle()
    town.close(first)
    town.settle()
    town.databases.recover()
    town.settle()

    assert town.phase(second) is Phase.LIVE
    assert set(town.databases.databases) == {f"preview_shop_pr_{second}"}


def test_warm_clones_are_made_ready_and_made_up_for() -> None:
    town = town_with()
    town.pools = (Pool(SERVER, TEMPLATE, 2),)
    town.start()
    for _ in range(3):
        town.resync()
    ready = len(town.databases.pool)
    town.open()
    town.settle()
    handed_over = len(town.databases.pool)
    for _ in range(3):
        town.resync()

    assert (ready, handed_over, len(town.databases.pool)) == (2, 1, 2)


def test_a_preview_that_expires_and_comes_back_has_a_new_database(town: Town) -> None:
    lifetime = replace(town.projects["shop"].lifetime, ttl=timedelta(hours=2))
    town.projects = {"shop": replace(town.projects["shop"], lifetime=lifetime)}
    town.start()
    number = town.open()
    town.settle()
    town.clock.seconds += 3 * 3600
    town.manager.reconcile_all()
    town.settle(180)
    expired = (town.phase(number), dict(town.databases.databases))
    town.push(number)
    town.settle()

    assert expired == (Phase.EXPIRED, {})
    assert town.phase(number) is Phase.LIVE


def test_a_migration_that_fails_is_the_reason_with_its_last_words(town: Town) -> None:
    number = town.open()
    town.settle()
    names = names_of(key(number), host_pattern="")
    town.cluster.logs[names.namespace] = "ERROR: relation orders exists"

    town.argocd.finishes(names.application, operation_phase="Failed", sync="OutOfSync")
    town.settle(5)

    record = town.record(number)
    assert (record.reason, record.failed) == ("MigrationFailed", True)
    assert "relation orders exists" in record.message


def test_a_database_that_grows_beyond_its_limit_is_pointed_out_and_not_stopped() -> None:
    town = town_with(replace(OWN_DATABASE, storage_warning_bytes=1024**3))
    number = town.open()
    town.settle()
    town.databases.sizes[key(number)] = 2 * 1024**3
    town.resync()
    town.settle()
    warned = town.forge.comments(REPOSITORY, number)
    town.databases.sizes[key(number)] = 1024**2
    town.resync()
    town.settle()

    assert town.phase(number) is Phase.LIVE
    assert "its database has grown beyond 1 GiB" in str(warned)
    assert "grown" not in str(town.forge.comments(REPOSITORY, number))


def push_migration(town: Town, number: int, text: str) -> None:
    town.forge.push(REPOSITORY, number, files={"migrations/1.sql": text})
    town.push_image(number)
    town.deliver(number)
    town.settle()


def test_a_migration_that_is_edited_after_it_ran_is_pointed_out_until_a_reset() -> None:
    town = town_with(replace(OWN_DATABASE, migrations="migrations"))
    number = town.open()
    town.settle()
    push_migration(town, number, "CREATE TABLE a ()")
    assert town.record(number).edited_migrations == ""

    push_migration(town, number, "CREATE TABLE b ()")
    said = town.record(number).edited_migrations
    assert "migrations/1.sql was edited after it ran" in said
    assert f"previews reset-database shop#{number}" in said

    town.clock.seconds += 60
    town.loop.actions.reset_database(key(number), actor="octo-dev")
    town.settle()
    assert town.record(number).edited_migrations == ""


def test_migrations_are_compared_at_the_repository_s_present_name() -> None:
    town = town_with(replace(OWN_DATABASE, migrations="migrations"))
    number = town.open()
    town.settle()
    push_migration(town, number, "CREATE TABLE a ()")
    town.forge.rename(REPOSITORY, "acme/store")
    town.resync()
    town.settle()
    before = len(town.forge.calls)

    town.forge.push("acme/store", number, files={"migrations/1.sql": "CREATE TABLE b ()"})
    town.push_image(number)
    town.resync()
    town.settle()

    assert "was edited after it ran" in town.record(number).edited_migrations
    asked = [call for call in town.forge.calls[before:] if "list_files" in call]
    assert {call.split()[1] for call in asked} == {"acme/store"}
