"""What a preview's database leaves outside of its namespace, and a receipt that speaks only of what was looked at."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from previews.adapters.databases.shared import SharedDatabase
from previews.domain.caps import Caps
from previews.domain.database import DatabasePolicy, Provider, SecretKind
from previews.domain.naming import database_name
from previews.domain.policy import Policy
from previews.domain.ports import Store
from previews.domain.preview import Phase
from previews.domain.resource_ports import DatabaseServer
from previews.reconcile.effects import Effect
from previews.reconcile.world import World
from tests.fakes.databases import FakeDatabaseServer
from tests.fakes.store import InMemoryStore
from tests.fakes.surroundings import OWN_DATABASE, SERVER, TEMPLATE
from tests.fakes.town import CountingWitness, Town, project
from tests.unit.database_town import key

IN_A_STORE = replace(OWN_DATABASE, secret_kind=SecretKind.EXTERNAL_SECRETS)
SHARED = DatabasePolicy(
    provider=Provider.SHARED, server=SERVER, secret_kind=SecretKind.EXTERNAL_SECRETS
)
ELSEWHERE = "second"


class Servers(Town):
    """A town whose database servers are those that `servers` names."""

    def __init__(
        self, policy: DatabasePolicy, servers: dict[str, DatabaseServer] | None = None
    ) -> None:
        self.servers = servers or {}
        super().__init__([project("shop", database=policy)])
        self.servers = servers or {SERVER: self.databases}

    def world(self, store: Store) -> World:
        world = super().world(store)
        return replace(world, databases=self.servers) if self.servers else world


class Died(BaseException):
    """The manager is killed."""


class DiesOnce(CountingWitness):
    """Dies when this has just been done."""

    def __init__(self, effect: Effect) -> None:
        super().__init__()
        self._effect: Effect | None = effect

    def after(self, effect: Effect, subject: str) -> None:
        super().after(effect, subject)
        if effect is self._effect:
            self._effect = None
            raise Died


@pytest.fixture
def sharing(tmp_path: Path) -> Servers:
    file = tmp_path / "url"
    file.write_text("postgresql://staging:still-valid@db.example/orders")
    at = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    os.utime(file, (at, at))
    return Servers(SHARED, {SERVER: SharedDatabase(url_file=file)})


def live(town: Town) -> int:
    number = town.open()
    town.settle()
    assert town.phase(number) is Phase.LIVE
    return number


def live_and_die(town: Town, number: int) -> None:
    town.settle()
    town.close(number)
    town.settle()


def gone(town: Town, number: int) -> list[str]:
    """What the receipt names."""
    removal = town.record(number).removal
    assert removal is not None
    assert (removal.finished_at is not None) == (town.phase(number) is Phase.REMOVED)
    return [each.kind for each in removal.gone]


def close_while_it_is_down(town: Town, number: int) -> None:
    town.forge.close("acme/shop", number)
    town.start()
    town.settle(600)


# what lies in a store of secrets


def test_what_was_put_into_a_store_for_a_shared_database_is_taken_out(sharing: Servers) -> None:
    number = live(sharing)

    sharing.close(number)
    sharing.settle()

    assert sharing.secrets.withdrawn == [(key(number), "database")]
    assert "Secret in its store" in gone(sharing, number)
    assert "Database and role" not in gone(sharing, number)
    assert "secret in its store" in sharing.record(number).message


def test_it_is_taken_out_once_however_often_one_looks_afterwards(sharing: Servers) -> None:
    number = live(sharing)
    sharing.close(number)
    sharing.settle()
    before = sharing.record(number)

    sharing.start()
    for _ in range(20):
        sharing.manager.reconcile_all()
        sharing.settle()

    assert sharing.secrets.withdrawn == [(key(number), "database")]
    assert sharing.record(number) == before


def test_a_preview_that_comes_back_has_its_entry_taken_out_again(sharing: Servers) -> None:
    number = live(sharing)
    for _ in range(2):
        sharing.close(number)
        sharing.settle()
        sharing.reopen(number)
        sharing.settle()

    assert sharing.phase(number) is Phase.LIVE
    assert sharing.secrets.withdrawn == [(key(number), "database")] * 2


def test_a_store_without_a_way_to_take_out_is_not_said_to_be_empty(sharing: Servers) -> None:
    sharing.secrets.withdraws = False
    number = live(sharing)

    sharing.close(number)
    sharing.settle()

    assert sharing.phase(number) is Phase.REMOVED
    assert "Secret in its store" not in gone(sharing, number)
    assert "store" not in sharing.record(number).message


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_store_that_gives_nothing_up_is_waited_for_and_takes_nobody_s_place(
    sharing: Servers, *, is_shared: bool
) -> None:
    town = sharing if is_shared else Servers(IN_A_STORE)
    town.caps = Caps(previews=1)
    town.start()
    number = live(town)
    town.databases.databases.clear()
    town.secrets.keeps_all = True

    town.close(number)
    town.settle(600)
    assert (town.phase(number), town.record(number).reason) == (
        Phase.REMOVING,
        "SecretStoreFailed",
    )
    assert "Secret in its store" not in gone(town, number)
    other = live(town)

    town.secrets.keeps_all = False
    town.settle(600)
    assert "Secret in its store" in gone(town, number)
    assert town.phase(other) is Phase.LIVE


def test_an_own_database_that_somebody_dropped_has_its_entry_taken_out() -> None:
    town = Servers(IN_A_STORE)
    number = live(town)
    town.databases.databases.clear()
    town.databases.passwords.clear()

    town.close(number)
    town.settle()

    assert town.secrets.withdrawn == [(key(number), "database")]
    assert {"Secret in its store", "Database and role"} <= set(gone(town, number))


@pytest.mark.parametrize("effect", [Effect.DELIVER_SECRET, Effect.WITHDRAW_SECRET])
def test_a_manager_that_dies_in_between_finds_the_entry_again(
    sharing: Servers, effect: Effect
) -> None:
    sharing.witness = DiesOnce(effect)
    sharing.start()
    number = sharing.open()
    with pytest.raises(Died):
        live_and_die(sharing, number)

    close_while_it_is_down(sharing, number)

    assert set(sharing.secrets.withdrawn) == {(key(number), "database")}
    assert sharing.phase(number) is Phase.REMOVED


def test_after_a_lost_store_the_file_in_git_tells_of_the_entry(sharing: Servers) -> None:
    number = live(sharing)
    sharing.store = InMemoryStore()

    close_while_it_is_down(sharing, number)

    assert sharing.secrets.withdrawn == [(key(number), "database")]


def test_a_drained_project_that_shared_a_database_is_held_up_by_nothing(sharing: Servers) -> None:
    number = live(sharing)
    sharing.projects, sharing.servers = {"cart": project("cart")}, {"other": FakeDatabaseServer()}
    sharing.start()
    sharing.loop.actions.drain("shop", actor="ops")
    sharing.settle(600)

    assert sharing.phase(number) is Phase.REMOVED
    assert sharing.secrets.withdrawn == [(key(number), "database")]


def test_a_pull_request_that_never_had_a_preview_has_nothing_taken_out(sharing: Servers) -> None:
    shop = sharing.projects["shop"]
    sharing.projects = {"shop": replace(shop, policy=Policy(drafts=False, bots=False))}
    sharing.start()
    number = sharing.open(author="renovate[bot]")
    sharing.settle()
    sharing.close(number)
    sharing.settle()

    assert sharing.secrets.withdrawn == []


# a server that is not configured any more


def moved(policy: DatabasePolicy = OWN_DATABASE) -> DatabasePolicy:
    return replace(policy, server=ELSEWHERE)


def second(town: Town) -> FakeDatabaseServer:
    server = FakeDatabaseServer()
    server.put_template(TEMPLATE, town.clock.now())
    return server


def configure(town: Servers, policy: DatabasePolicy, **servers: DatabaseServer) -> None:
    town.servers = servers
    town.projects = {"shop": replace(town.projects["shop"], database=policy)}
    town.start()
    town.manager.reconcile_all()
    town.settle(300)


def test_no_receipt_for_a_database_that_nobody_could_look_at() -> None:
    town = Servers(OWN_DATABASE)
    number = live(town)
    town.forge.close("acme/shop", number)

    configure(town, moved(), second=second(town))

    record = town.record(number)
    assert (record.phase, record.reason) == (Phase.REMOVING, "DatabaseServerUnknown")
    assert record.failed
    assert f"{SERVER!r}" in record.message
    assert "Database and role" not in gone(town, number)
    assert town.left_of(number) == set()

    configure(town, moved(), second=second(town), main=town.databases)
    assert "Database and role" in gone(town, number)
    assert town.databases.databases == {}


def test_a_database_that_a_live_preview_left_behind_is_not_forgotten() -> None:
    town = Servers(OWN_DATABASE)
    number = live(town)
    other = second(town)
    configure(town, moved(), second=other)
    assert (town.phase(number), set(other.databases)) == (Phase.LIVE, {database_name(key(number))})

    town.close(number)
    town.settle(300)
    assert town.record(number).reason == "DatabaseServerUnknown"
    assert other.databases == {}

    configure(town, moved(), second=other, main=town.databases)
    assert town.databases.databases == {}
    assert "Database and role" in gone(town, number)


def test_a_lost_server_s_name_given_to_another_ends_the_waiting() -> None:
    town = Servers(OWN_DATABASE)
    number = live(town)
    other = second(town)
    town.forge.close("acme/shop", number)
    configure(town, moved(), second=other)

    configure(town, moved(), second=other, main=other)

    assert town.phase(number) is Phase.REMOVED


def test_whoever_waits_for_such_a_server_takes_nobody_s_place() -> None:
    town = Servers(OWN_DATABASE)
    town.caps = Caps(previews=1)
    town.start()
    number = live(town)
    town.forge.close("acme/shop", number)
    configure(town, moved(), second=second(town))
    assert town.phase(number) is Phase.REMOVING

    assert live(town)
    assert town.phase(number) is Phase.REMOVING


def test_a_drained_project_says_the_same() -> None:
    town = Servers(OWN_DATABASE)
    number = live(town)
    town.projects, town.servers = {"cart": project("cart")}, {ELSEWHERE: second(town)}
    town.start()
    town.loop.actions.drain("shop", actor="ops")
    town.settle(300)
    assert town.record(number).reason == "DatabaseServerUnknown"
    assert not [path for path in town.gitops.files if f"pr-{number}/" in path]

    town.servers[SERVER] = town.databases
    town.start()
    town.settle(300)
    assert town.databases.databases == {}
    assert "Database and role" in gone(town, number)


def test_what_was_found_gone_stays_gone_when_its_server_goes() -> None:
    town = Servers(OWN_DATABASE)
    number = live(town)
    town.close(number)
    town.settle()
    receipt = town.record(number).removal

    configure(town, moved(), second=second(town))

    assert (town.phase(number), town.record(number).removal) == (Phase.REMOVED, receipt)
