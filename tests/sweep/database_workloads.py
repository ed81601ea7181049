"""Workloads whose previews have databases of their own: one function for each, as in `workloads`."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from previews.domain.database import DatabaseLimits, SecretKind
from previews.domain.lifetime import LifetimePolicy
from previews.domain.naming import database_name
from previews.domain.preview import PreviewKey
from previews.reconcile.warm_pool import Pool
from tests.fakes.surroundings import OWN_DATABASE, SERVER, TEMPLATE, project
from tests.sweep.struck_town import StruckTown

MINUTE = 60.0
HOUR = 60 * MINUTE
DATABASE = replace(OWN_DATABASE, migrations="migrations")
SHOP = project("shop", database=DATABASE)
LIVES_AN_HOUR = replace(SHOP, lifetime=LifetimePolicy(ttl=timedelta(hours=1)))
APPLIED_BY_US = project("shop", database=replace(OWN_DATABASE, secret_kind=SecretKind.KUBERNETES))


def key_of(number: int) -> PreviewKey:
    return PreviewKey("shop", number)


def _begin(town: StruckTown) -> int:
    """A preview with a database that is well."""
    town.restart_with(SHOP)
    number = town.open()
    town.come_to_rest()
    return number


def open_with_database(town: StruckTown) -> None:
    town.restart_with(SHOP)
    town.open()
    town.open()


def push_with_database(town: StruckTown) -> None:
    town.push(_begin(town))


def push_while_a_database_is_made(town: StruckTown) -> None:
    town.restart_with(SHOP)
    number = town.open()
    town.settle(0)
    town.push(number)


def close_with_database(town: StruckTown) -> None:
    town.close(_begin(town))


def close_while_a_database_is_made(town: StruckTown) -> None:
    town.restart_with(SHOP)
    number = town.open()
    town.settle(0)
    town.close(number)


def reopen_while_a_database_goes(town: StruckTown) -> None:
    number = _begin(town)
    town.close(number)
    town.settle(2)
    town.reopen(number)


def expire_with_database(town: StruckTown) -> None:
    town.restart_with(LIVES_AN_HOUR)
    number = town.open()
    town.settle(2 * HOUR)
    town.push(number)


def sleep_and_wake_with_database(town: StruckTown) -> None:
    number = _begin(town)
    town.act("sleep", key_of(number), actor="ann")
    town.come_to_rest()
    town.act("wake", key_of(number), actor="ben")


def reset_a_database(town: StruckTown) -> None:
    number = _begin(town)
    town.act("reset_database", key_of(number), actor="ann")


def reset_a_database_asleep(town: StruckTown) -> None:
    number = _begin(town)
    town.act("sleep", key_of(number), actor="ann")
    town.come_to_rest()
    town.act("reset_database", key_of(number), actor="ann")


def rotate_a_password(town: StruckTown) -> None:
    number = _begin(town)
    town.act("rotate_password", key_of(number), actor="ann")


def renew_the_certificate(town: StruckTown) -> None:
    _begin(town)
    town.secrets.renew_certificate()
    town.restart()


def change_the_name_of_a_secret(town: StruckTown) -> None:
    _begin(town)
    named = replace(DATABASE, secret_name="postgres")
    town.restart_with(replace(SHOP, database=named))


def limit_databases(town: StruckTown) -> None:
    _begin(town)
    town.open()
    town.come_to_rest()
    fewer = replace(DATABASE, limits=DatabaseLimits(connections=3))
    town.restart_with(replace(SHOP, database=fewer))


def give_a_project_databases(town: StruckTown) -> None:
    town.open()
    town.come_to_rest()
    town.restart_with(SHOP)


def apply_a_secret_ourselves(town: StruckTown) -> None:
    town.secrets.in_git = False
    town.restart_with(APPLIED_BY_US)
    number = town.open()
    town.come_to_rest()
    town.act("rotate_password", key_of(number), actor="ann")
    town.come_to_rest()
    town.close(number)


def take_from_a_pool(town: StruckTown) -> None:
    town.pools = (Pool(SERVER, TEMPLATE, 2),)
    number = _begin(town)
    town.databases.put_template(TEMPLATE, town.clock.now())
    town.come_to_rest()
    town.open()
    town.settle()
    town.close(number)
    # Each makes at most one clone.
    for _ in range(3):
        town.resync()


def drop_a_database_by_hand(town: StruckTown) -> None:
    number = _begin(town)
    town.databases.databases.pop(database_name(key_of(number)))
    town.databases.passwords.clear()


def lose_the_role_by_hand(town: StruckTown) -> None:
    number = _begin(town)
    town.databases.lose_role(key_of(number))


def drain_with_database(town: StruckTown) -> None:
    town.restart_with(SHOP, project("api"))
    town.open()
    town.come_to_rest()
    town.restart_with(project("api"))
    town.come_to_rest()
    town.act("drain", "shop", actor="ann")


def collect_a_database(town: StruckTown) -> None:
    """What is left on a server when everything else of its preview is gone and forgotten."""
    number = _begin(town)
    town.close(number)
    town.come_to_rest()
    town.databases.put_half_made(key_of(number))
    for _ in range(12):
        town.collect()
        town.settle(5 * MINUTE)


DATABASE_WORKLOADS: tuple[Callable[[StruckTown], None], ...] = (
    open_with_database,
    push_with_database,
    push_while_a_database_is_made,
    close_with_database,
    close_while_a_database_is_made,
    reopen_while_a_database_goes,
    expire_with_database,
    sleep_and_wake_with_database,
    reset_a_database,
    reset_a_database_asleep,
    rotate_a_password,
    renew_the_certificate,
    change_the_name_of_a_secret,
    limit_databases,
    give_a_project_databases,
    apply_a_secret_ourselves,
    take_from_a_pool,
    drop_a_database_by_hand,
    lose_the_role_by_hand,
    drain_with_database,
    collect_a_database,
)
