"""Workloads whose previews' hosts have records of their own: one function for each, as in `workloads`."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from previews.domain.lifetime import LifetimePolicy
from previews.domain.preview import PreviewKey
from tests.fakes.surroundings import project
from tests.sweep.struck_town import StruckTown

MINUTE = 60.0
HOUR = 60 * MINUTE
SHOP = project("shop")
LIVES_AN_HOUR = replace(SHOP, lifetime=LifetimePolicy(ttl=timedelta(hours=1)))
HOST = "shop-pr-1.preview.example"


def key_of(number: int) -> PreviewKey:
    return PreviewKey("shop", number)


def _name_hosts(town: StruckTown) -> None:
    town.names_hosts = True
    town.restart()


def _begin(town: StruckTown) -> int:
    """A live preview whose host has a record."""
    _name_hosts(town)
    number = town.open()
    town.come_to_rest()
    return number


def open_with_record(town: StruckTown) -> None:
    _name_hosts(town)
    town.open()
    town.open()


def push_with_record(town: StruckTown) -> None:
    town.push(_begin(town))


def close_with_record(town: StruckTown) -> None:
    town.close(_begin(town))


def close_while_it_is_named(town: StruckTown) -> None:
    _name_hosts(town)
    number = town.open()
    town.settle(0)
    town.close(number)


def reopen_while_a_record_goes(town: StruckTown) -> None:
    number = _begin(town)
    town.close(number)
    town.settle(2)
    town.reopen(number)


def expire_with_record(town: StruckTown) -> None:
    town.names_hosts = True
    town.restart_with(LIVES_AN_HOUR)
    number = town.open()
    town.settle(2 * HOUR)
    town.push(number)


def sleep_and_wake_with_record(town: StruckTown) -> None:
    number = _begin(town)
    town.act("sleep", key_of(number), actor="ann")
    town.come_to_rest()
    town.act("wake", key_of(number), actor="ben")


def give_hosts_records(town: StruckTown) -> None:
    town.open()
    town.come_to_rest()
    _name_hosts(town)


def lose_a_record_by_hand(town: StruckTown) -> None:
    number = _begin(town)
    town.host_records.forget(HOST)
    town.settle(6 * MINUTE)
    town.push(number)


def drain_with_record(town: StruckTown) -> None:
    town.names_hosts = True
    town.restart_with(SHOP, project("api"))
    town.open()
    town.come_to_rest()
    town.restart_with(project("api"))
    town.come_to_rest()
    town.act("drain", "shop", actor="ann")


def collect_a_record(town: StruckTown) -> None:
    """What is left in the zone when everything else of its preview is gone and forgotten."""
    number = _begin(town)
    town.close(number)
    town.come_to_rest()
    town.host_records.put_half(key_of(number), HOST)
    for _ in range(12):
        town.collect()
        town.settle(5 * MINUTE)


RECORD_WORKLOADS: tuple[Callable[[StruckTown], None], ...] = (
    open_with_record,
    push_with_record,
    close_with_record,
    close_while_it_is_named,
    reopen_while_a_record_goes,
    expire_with_record,
    sleep_and_wake_with_record,
    give_hosts_records,
    lose_a_record_by_hand,
    drain_with_record,
    collect_a_record,
)
