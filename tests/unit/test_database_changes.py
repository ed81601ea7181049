"""What the configuration changes of databases that live previews have already: the whole manager on fakes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from previews.domain.database import DatabaseLimits, DatabasePolicy, SecretKind
from previews.domain.naming import database_name
from previews.domain.ports import Store
from previews.domain.preview import Phase
from previews.domain.resource_ports import SecretDelivery
from previews.reconcile.effects import Effect
from previews.reconcile.world import World
from tests.fakes.secrets import FakeSecrets
from tests.fakes.surroundings import OWN_DATABASE
from tests.fakes.town import CountingWitness, Town, project
from tests.unit.database_town import arrive, can_log_in, key

FEWER = DatabaseLimits(connections=3, statement_timeout=timedelta(seconds=7))
LIMITED = replace(OWN_DATABASE, limits=FEWER)


class EveryWay(Town):
    """A delivery of its own for each way that secrets take."""

    def world(self, store: Store) -> World:
        self.ways: Mapping[SecretKind, FakeSecrets] = getattr(
            self,
            "ways",
            {kind: FakeSecrets(in_git=kind is not SecretKind.KUBERNETES) for kind in SecretKind},
        )
        deliveries: dict[SecretKind, SecretDelivery] = dict(self.ways)
        return replace(super().world(store), deliveries=deliveries)


def live(count: int, policy: DatabasePolicy = OWN_DATABASE, *, at_most: int = 5) -> EveryWay:
    """A town whose first previews are live."""
    town = EveryWay([project("shop", database=policy)])
    town.rewrites_at_most = at_most
    town.start()
    for _ in range(count):
        town.open()
    town.settle()
    return town


def configure(town: Town, policy: DatabasePolicy) -> None:
    """The configuration says something else, and the manager is started anew."""
    town.projects["shop"] = project("shop", database=policy)
    town.start()
    town.manager.reconcile_all()


def limits(town: Town, number: int) -> DatabaseLimits | None:
    return town.databases.databases[database_name(key(number))].limits


def effects(town: Town) -> dict[Effect, int]:
    assert isinstance(town.witness, CountingWitness)
    return dict(town.witness.counts)


# limits


def test_other_limits_reach_a_database_that_is_there_and_nothing_else_of_it_changes() -> None:
    town = live(1)
    before, files = town.databases.databases[database_name(key(1))], dict(town.gitops.files)

    configure(town, LIMITED)
    town.settle()

    assert town.databases.databases[database_name(key(1))] == replace(before, limits=FEWER)
    assert town.gitops.files == files
    assert town.phase(1) is Phase.LIVE
    assert not town.record(1).is_rewritten


def test_they_reach_all_of_them_and_twenty_more_looks_do_nothing() -> None:
    town = live(4, at_most=1)
    configure(town, LIMITED)
    town.settle()
    assert [limits(town, number) for number in range(1, 5)] == [FEWER] * 4
    before = effects(town)

    for _ in range(20):
        town.manager.reconcile_all()
        town.settle(1)

    assert effects(town) == before


def test_they_wait_while_previews_that_were_rewritten_are_not_well() -> None:
    town = live(3, at_most=1)
    town.argocd.deploys = False
    shop = town.projects["shop"]
    assert shop.helm is not None
    town.projects["shop"] = replace(
        project("shop", database=LIMITED), helm=replace(shop.helm, values={"broken": "yes"})
    )
    town.start()
    town.manager.reconcile_all()
    town.settle(3600)

    assert [limits(town, number) for number in range(1, 4)].count(FEWER) == 1

    town.confirm_brake("ann")
    town.settle()
    assert [limits(town, number) for number in range(1, 4)].count(FEWER) > 1


def test_who_falls_asleep_gets_them_as_well() -> None:
    town = live(1)
    town.loop.actions.sleep(key(1), actor="ann")
    town.settle()

    configure(town, LIMITED)
    town.settle()

    assert (town.phase(1), limits(town, 1)) == (Phase.ASLEEP, FEWER)


def test_a_server_that_refuses_them_takes_nothing_down_and_gives_them_later() -> None:
    town = live(1)

    def refuse(when: str, name: str) -> None:
        if (when, name) == ("before", "create"):
            town.databases.fail("DatabaseRefused")
        elif when == "before":
            town.databases.recover()

    town.databases.on_operation = refuse
    configure(town, LIMITED)
    town.settle()
    assert (town.phase(1), limits(town, 1)) == (Phase.LIVE, OWN_DATABASE.limits)

    town.databases.on_operation = None
    town.databases.recover()
    town.manager.reconcile_all()
    town.settle()
    assert (town.phase(1), limits(town, 1)) == (Phase.LIVE, FEWER)


# another way for the secret


def going(kind: SecretKind) -> DatabasePolicy:
    return replace(OWN_DATABASE, secret_kind=kind)


def ways(town: Town, count: int) -> list[str]:
    granted = [town.record(number).grant for number in range(1, count + 1)]
    return [grant.secret_kind if grant else "" for grant in granted]


@pytest.mark.parametrize("old", list(SecretKind))
@pytest.mark.parametrize("new", list(SecretKind))
def test_a_preview_stays_live_whichever_way_its_secret_takes_from_now_on(
    old: SecretKind, new: SecretKind
) -> None:
    town = live(1, going(old))
    incarnation = town.databases.databases[database_name(key(1))].incarnation

    configure(town, going(new))
    town.settle()

    assert ways(town, 1) == [new]
    assert town.phase(1) is Phase.LIVE
    assert town.databases.databases[database_name(key(1))].incarnation == incarnation
    town.secrets = town.ways[new]
    if new is not SecretKind.KUBERNETES:
        arrive(town, 1)
    assert can_log_in(town, 1)


def test_another_way_costs_a_new_password_and_so_comes_to_a_few_at_a_time() -> None:
    town = live(3, going(SecretKind.KUBERNETES), at_most=1)
    passwords = dict(town.databases.passwords)
    town.argocd.deploys = False

    configure(town, going(SecretKind.SEALED_SECRETS))
    town.settle(3600)

    assert sorted(ways(town, 3)) == ["kubernetes", "kubernetes", "sealed-secrets"]
    changed = [name for name in passwords if passwords[name] != town.databases.passwords[name]]
    assert len(changed) == 1
    assert [town.phase(number) for number in range(1, 4)].count(Phase.LIVE) == 2


def test_who_asks_for_a_new_password_meanwhile_does_not_wait() -> None:
    town = live(2, going(SecretKind.KUBERNETES), at_most=1)
    town.argocd.deploys = False
    configure(town, going(SecretKind.SEALED_SECRETS))
    town.settle(3600)
    waiting = ways(town, 2).index("kubernetes") + 1

    town.loop.actions.rotate_password(key(waiting), actor="ann")
    town.settle()

    assert ways(town, 2) == ["sealed-secrets"] * 2


def test_what_lies_in_a_store_is_taken_out_when_its_secret_comes_another_way() -> None:
    town = live(1, going(SecretKind.EXTERNAL_SECRETS))
    store = town.ways[SecretKind.EXTERNAL_SECRETS]
    assert store.withdrawn == []

    configure(town, going(SecretKind.SEALED_SECRETS))
    town.settle()

    assert store.withdrawn == [(key(1), "database")]


def test_a_store_that_is_away_holds_that_up_and_costs_no_password_meanwhile() -> None:
    town = live(1, going(SecretKind.EXTERNAL_SECRETS))
    before = dict(town.databases.passwords)
    town.ways[SecretKind.EXTERNAL_SECRETS].unavailable = True

    configure(town, going(SecretKind.SEALED_SECRETS))
    town.settle(3600)
    assert town.databases.passwords == before

    town.ways[SecretKind.EXTERNAL_SECRETS].unavailable = False
    town.settle(3600)
    assert ways(town, 1) == ["sealed-secrets"]
    assert town.phase(1) is Phase.LIVE


# what the sweep drops


def test_what_was_delivered_goes_with_a_database_that_the_sweep_drops() -> None:
    town = live(1, going(SecretKind.EXTERNAL_SECRETS))
    store = town.ways[SecretKind.EXTERNAL_SECRETS]
    town.close(1)
    town.settle(180)
    store.withdrawn.clear()
    town.databases.put_half_made(key(1))
    store.unavailable = True

    for _ in range(4):
        town.clock.seconds += 600
        town.manager.collect()
    # What shows that something is left is what goes last.
    assert database_name(key(1)) in town.databases.databases

    store.unavailable = False
    town.clock.seconds += 600
    town.manager.collect()
    assert town.databases.databases == {}
    assert store.withdrawn == [(key(1), "database")]
