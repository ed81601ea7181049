"""One database that all previews of a project share: what becomes of its address, and that it is left alone."""

import os
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from previews.adapters.databases.shared import SharedDatabase
from previews.domain.database import Credential, DatabaseLimits, DatabasePolicy, Provider
from previews.domain.ports import Store
from previews.domain.preview import HeadSha, Phase, PreviewKey
from previews.errors import StalledError
from previews.reconcile.world import World
from tests.fakes.surroundings import SERVER
from tests.fakes.town import Town, project

URL = "postgresql://staging:canary-7f3@db.example:6432/orders?sslmode=verify-full"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = PreviewKey("shop", 7)


def written(file: Path, text: str = URL, at: datetime = NOON) -> SharedDatabase:
    file.write_text(text)
    os.utime(file, (at.timestamp(), at.timestamp()))
    return SharedDatabase(url_file=file)


@pytest.fixture
def url_file(tmp_path: Path) -> Path:
    return tmp_path / "url"


def test_it_is_there_for_every_preview_from_the_beginning(url_file: Path) -> None:
    found = written(url_file).find(KEY)

    assert found is not None
    assert (found.name, found.key, found.is_ready) == ("orders", KEY, True)
    assert (found.incarnation, found.migrated) == ("shared", "")
    assert found.created_at == found.credential_at == NOON


def test_a_preview_logs_in_as_the_address_says(url_file: Path) -> None:
    login = written(url_file, f"{URL}\n").login(KEY, "another password")

    assert login.variables() == {
        "DATABASE_URL": URL,
        "PGHOST": "db.example",
        "PGPORT": "6432",
        "PGDATABASE": "orders",
        "PGUSER": "staging",
        "PGPASSWORD": "canary-7f3",
        "PGSSLMODE": "verify-full",
    }


def test_port_and_sslmode_may_be_left_out(url_file: Path) -> None:
    login = written(url_file, "postgres://staging:canary-7f3@db.example/orders").login(KEY, "")

    assert (login.port, login.sslmode) == (5432, "prefer")


def test_special_characters_are_written_as_in_any_address(url_file: Path) -> None:
    login = written(
        url_file, "postgresql://st%40ging:p%2F%3A%25%20%C3%A9@db.example/or%3Fders"
    ).login(KEY, "")

    assert (login.user, login.password, login.database) == ("st@ging", "p/:% é", "or?ders")


def test_another_file_is_another_password_and_the_same_one_is_not(url_file: Path) -> None:
    server = written(url_file)
    before = server.find(KEY)
    again = server.find(PreviewKey("shop", 8))
    written(url_file, at=NOON.replace(hour=13))
    after = server.find(KEY)

    assert before
    assert again
    assert after
    assert before.credential == again.credential != after.credential
    assert after.incarnation == before.incarnation


def test_nothing_about_the_password_can_be_learnt_from_its_id(url_file: Path) -> None:
    before = written(url_file).find(KEY)
    after = written(url_file, URL.replace("canary-7f3", "canary-8a4")).find(KEY)

    assert before
    assert after
    assert before.credential == after.credential


def test_nothing_that_is_asked_of_it_changes_anything(url_file: Path) -> None:
    server = written(url_file)
    before = server.find(KEY)

    server.create(KEY, "shop_golden", DatabaseLimits(), incarnation="new", at=NOON)
    server.set_credential(KEY, Credential(id="one", at=NOON, password="other"))
    server.note_migrated(KEY, HeadSha("a" * 40))
    server.drop(KEY)
    server.check()

    assert not server.fill_pool("shop_golden", 3, at=NOON)
    assert server.find(KEY) == before
    assert (server.list_databases(), server.templates(), server.size_bytes(KEY)) == ([], [], 0)
    assert url_file.read_text() == URL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "canary-7f3",
        "mysql://staging:canary-7f3@db.example/orders",
        "postgresql://canary-7f3@db.example/orders",
        "postgresql://staging:canary-7f3@db.example",
        "postgresql://staging:canary-7f3@db.example/orders/canary-7f3",
        "postgresql://staging:canary-7f3@/orders",
        "postgresql://staging:canary-7f3/slash@db.example/orders",
        "postgresql://staging:canary-7f3@db.example:canary-7f3/orders",
        "postgresql://staging:canary-7f3@db.example:99999/orders",
        "postgresql://staging:canary-7f3@[db.example/orders",
        "postgresql://staging:canary-7f3@one.example,two.example/orders",
        "postgresql://staging:canary-7f3@one.example:1,two.example:2/orders",
        "postgresql://staging:canary-7f3@db.example/orders#canary-7f3",
        "postgresql://staging:canary-7f3%FF@db.example/orders",
        "postgresql://staging:canary 7f3@db.example/orders",
        "postgresql://staging:canary-7f3@db.example/orders\npostgresql://other",
        "postgresql://staging:canary-7f3@db.example/orders?sslmode=canary-7f3",
        "postgresql://staging:canary-7f3@db.example/orders?sslmode",
        "postgresql://staging:canary-7f3@db.example/orders?password=canary-7f3",
    ],
)
def test_what_is_no_address_is_refused_without_showing_a_word_of_it(
    url_file: Path, text: str
) -> None:
    server = written(url_file, text)

    with pytest.raises(StalledError) as refused:
        server.check()

    assert refused.value.reason == "DatabaseAddressUnusable"
    assert str(url_file) in refused.value.message
    shown = "".join(traceback.format_exception(refused.value))
    assert "canary" not in shown


def test_a_file_that_is_not_text_is_refused(url_file: Path) -> None:
    url_file.write_bytes(URL.encode("utf-16"))

    with pytest.raises(StalledError, match="is no address"):
        SharedDatabase(url_file=url_file).find(KEY)


def test_a_file_that_is_gone_is_refused_with_its_name(url_file: Path) -> None:
    with pytest.raises(StalledError, match="No such file") as refused:
        SharedDatabase(url_file=url_file).find(KEY)

    assert refused.value.reason == "DatabaseAddressUnusable"


class SharingTown(Town):
    """All previews of the project use one database."""

    def __init__(self, shared: SharedDatabase) -> None:
        self._shared = shared
        policy = DatabasePolicy(provider=Provider.SHARED, server=SERVER)
        super().__init__([project("shop", database=policy)])

    def world(self, store: Store) -> World:
        return replace(super().world(store), databases={SERVER: self._shared})


def test_previews_of_a_project_that_shares_one_go_live_with_it(url_file: Path) -> None:
    town = SharingTown(written(url_file))
    one, two = town.open(), town.open(branch="other")
    town.settle()

    assert {town.phase(number) for number in (one, two)} == {Phase.LIVE}


def test_closing_a_preview_leaves_a_shared_database_behind_and_nothing_else(url_file: Path) -> None:
    town = SharingTown(written(url_file))
    number = town.open()
    town.settle()

    town.close(number)
    town.settle()

    assert town.phase(number) is Phase.REMOVED


def test_another_address_comes_to_every_preview(url_file: Path) -> None:
    town = SharingTown(written(url_file))
    number = town.open()
    town.settle()
    before = town.record(number).grant

    written(url_file, at=NOON.replace(hour=13))
    town.resync()
    town.settle()

    after = town.record(number).grant
    assert before
    assert after
    assert (town.phase(number), after.incarnation) == (Phase.LIVE, before.incarnation)
    assert after.credential != before.credential


def test_when_nothing_changes_a_shared_address_is_not_delivered_again(url_file: Path) -> None:
    town = SharingTown(written(url_file))
    number = town.open()
    town.settle()
    pushes = town.gitops.pushes

    for _ in range(20):
        town.resync()
        town.settle()

    assert town.gitops.pushes == pushes
    assert town.phase(number) is Phase.LIVE
