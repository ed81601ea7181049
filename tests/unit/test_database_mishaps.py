"""What once went wrong with a preview's database, found by striking, by chance or by reading: each stays mended."""

from dataclasses import replace
from datetime import timedelta

import pytest

from previews.domain.database import DatabasePolicy, SecretKind
from previews.domain.naming import names_of
from previews.domain.observation import DATABASE_FILE
from previews.domain.preview import Phase, PreviewKey
from previews.reconcile.effects import Effect
from previews.reconcile.server_watch import ServerWatch
from previews.reconcile.warm_pool import Pool
from tests.fakes.databases import FakeDatabaseServer
from tests.fakes.surroundings import OWN_DATABASE, SERVER, TEMPLATE
from tests.fakes.town import REPOSITORY, CountingWitness, Town, project

APPLIED_BY_US = replace(OWN_DATABASE, secret_kind=SecretKind.KUBERNETES)
WITH_MIGRATIONS = replace(OWN_DATABASE, migrations="migrations")


def town_with(policy: DatabasePolicy = OWN_DATABASE) -> tuple[Town, int]:
    """A town with one preview that is live."""
    town = Town([project("shop", database=policy)])
    town.secrets.in_git = policy.secret_kind is not SecretKind.KUBERNETES
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    return town, number


def key(number: int) -> PreviewKey:
    return PreviewKey("shop", number)


def can_log_in(town: Town, number: int) -> bool:
    data = town.secrets.data(names_of(key(number), host_pattern="").namespace, "database")
    login = town.databases.login(key(number), data["PGPASSWORD"] if data else "")
    return town.databases.can_log_in(login)


def arrive(town: Town, number: int) -> None:
    """What is in Git comes to the preview's namespace."""
    folder = names_of(key(number), host_pattern="").folder
    town.secrets.sync(town.gitops.files.get(f"{folder}/{DATABASE_FILE}", ""))


def test_a_database_that_was_reset_knows_again_which_commit_ran_in_it() -> None:
    town, number = town_with(WITH_MIGRATIONS)
    (before,) = town.databases.databases.values()
    town.clock.seconds += 60
    town.loop.actions.reset_database(key(number), actor="octo-dev")
    town.settle()

    (after,) = town.databases.databases.values()
    assert after.incarnation != before.incarnation
    assert after.migrated == before.migrated != ""


def test_what_could_not_be_noted_of_migrations_is_noted_later() -> None:
    town, number = town_with(WITH_MIGRATIONS)
    town.databases.on_operation = lambda when, name: (
        town.databases.fail() if (when, name) == ("before", "note_migrated") else None
    )
    town.push(number)
    town.settle()
    town.databases.on_operation = None
    town.databases.recover()
    town.manager.reconcile_all()
    town.settle()

    (database,) = town.databases.databases.values()
    assert database.migrated == town.forge.pull_request(REPOSITORY, number).head_sha


def test_a_pool_that_is_full_is_left_alone() -> None:
    witness = CountingWitness()
    town = Town([project("shop", database=OWN_DATABASE)], witness=witness)
    town.pools = (Pool(SERVER, TEMPLATE, 2),)
    town.start()
    for _ in range(10):
        town.resync()

    assert len(town.databases.pool) == 2
    assert witness.counts[Effect.FILL_POOL] == 2


def test_a_reset_by_a_clock_that_was_ahead_drops_nothing_again_and_again() -> None:
    town, number = town_with()
    before = dict(town.databases.databases)
    town.clock.wrong_by = timedelta(days=1)
    town.loop.actions.reset_database(key(number), actor="octo-dev")
    town.clock.wrong_by = timedelta()
    town.settle(600)

    assert town.phase(number) is Phase.LIVE
    assert town.databases.databases == before


@pytest.mark.parametrize("kind", [SecretKind.SEALED_SECRETS, SecretKind.KUBERNETES])
def test_a_reset_whose_secret_does_not_get_through_gives_no_id_to_two_passwords(
    kind: SecretKind,
) -> None:
    town, number = town_with(replace(OWN_DATABASE, secret_kind=kind))
    town.clock.seconds += 60
    town.databases.on_operation = lambda when, name: (
        _answers_no_more(town) if (when, name) == ("after", "set_credential") else None
    )
    town.loop.actions.reset_database(key(number), actor="octo-dev")
    town.settle(2)
    town.databases.on_operation = None
    town.secrets.unavailable = False
    town.start()
    town.settle(180)

    assert town.phase(number) is Phase.LIVE
    arrive(town, number)
    assert can_log_in(town, number)


@pytest.mark.parametrize("kind", [SecretKind.SEALED_SECRETS, SecretKind.KUBERNETES])
def test_a_role_that_was_lost_gives_no_id_to_two_passwords(kind: SecretKind) -> None:
    town, number = town_with(replace(OWN_DATABASE, secret_kind=kind))
    town.databases.lose_role(key(number))
    town.databases.on_operation = lambda when, name: (
        _answers_no_more(town) if (when, name) == ("after", "set_credential") else None
    )
    town.resync()
    town.settle(2)
    town.databases.on_operation = None
    town.secrets.unavailable = False
    town.start()
    town.settle(180)

    assert town.phase(number) is Phase.LIVE
    arrive(town, number)
    assert can_log_in(town, number)


def _answers_no_more(town: Town) -> None:
    town.secrets.unavailable = True


def test_a_rotation_of_a_former_life_does_not_hold_up_a_secret_that_we_apply() -> None:
    town, number = town_with(APPLIED_BY_US)
    town.clock.seconds += 60
    town.loop.actions.rotate_password(key(number), actor="octo-dev")
    town.settle()
    town.close(number)
    town.settle(180)
    town.reopen(number)
    town.settle(180)

    assert town.phase(number) is Phase.LIVE
    assert can_log_in(town, number)


def test_a_secret_that_we_apply_comes_back_with_its_namespace() -> None:
    town, number = town_with(APPLIED_BY_US)
    namespace = names_of(key(number), host_pattern="").namespace
    town.cluster.delete_namespace(namespace)
    town.secrets.remove_namespace(namespace)
    tip = town.gitops.tip
    assert tip is not None
    town.argocd.looks(tip.files, tip.id)
    town.settle(180)

    assert town.phase(number) is Phase.LIVE
    assert can_log_in(town, number)


def test_a_store_of_secrets_that_is_away_takes_nothing_down_that_is_live() -> None:
    town, number = town_with(APPLIED_BY_US)
    town.secrets.unavailable = True
    town.start()
    town.manager.reconcile_all()
    town.settle()

    record = town.record(number)
    assert (record.phase, record.reason) == (Phase.LIVE, "Live")


def test_what_others_change_is_seen_also_of_what_nobody_has_read_since_our_own_change() -> None:
    server, shop = FakeDatabaseServer(), key(1)
    server.put_half_made(shop)
    changed: list[PreviewKey] = []
    watch = ServerWatch({SERVER: server}, changed.extend)
    watch.look()
    changed.clear()

    server.lose_role(shop)
    watch.look()

    assert changed == [shop]
