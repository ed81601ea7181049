"""What every database server does: run on the fake and on PostgreSQL, with a manager's login that is no superuser."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import psycopg
import pytest

from previews.adapters.databases.postgres import PostgresServer
from previews.domain.database import Credential, DatabaseLimits, Login
from previews.domain.naming import database_name
from previews.domain.preview import HeadSha, PreviewKey
from previews.domain.resource_ports import DatabaseServer
from previews.errors import StalledError, TransientError
from tests.fakes.databases import FakeDatabaseServer
from tests.postgres import VERSIONS, Instance, PostgresProcess, instance_on, postgres_server
from tests.postgres.instance import BUILT_AT, NOON, credential

SHOP_7, SHOP_8 = PreviewKey("shop-api", 7), PreviewKey("shop-api", 8)
LIMITS = DatabaseLimits()
COMMIT = HeadSha("c" * 40)


class World(Protocol):
    """A server with the template `golden`, and what others do to it."""

    @property
    def server(self) -> DatabaseServer: ...
    def can_log_in(self, login: Login) -> bool: ...
    def put_foreign(self, key: PreviewKey) -> None: ...
    def put_half_made(self, key: PreviewKey) -> None: ...
    def lose_role(self, key: PreviewKey) -> None: ...
    def rebuild_template(self, built_at: datetime) -> None: ...
    def hold(self, login: Login, words: str) -> None:
        """Have something there that no force ends, and that the server calls by these words."""
        ...

    def let_go(self, key: PreviewKey) -> None: ...
    def go_down(self) -> None: ...
    def come_back(self) -> None: ...


class FakeWorld:
    def __init__(self) -> None:
        self.server = FakeDatabaseServer()
        self.server.put_template("golden", BUILT_AT)
        self.can_log_in = self.server.can_log_in
        self.put_foreign = self.server.put_foreign
        self.put_half_made = self.server.put_half_made
        self.lose_role = self.server.lose_role
        self.let_go = self.server.let_go
        self.go_down = self.server.fail
        self.come_back = self.server.recover

    def rebuild_template(self, built_at: datetime) -> None:
        self.server.put_template("golden", built_at)

    def hold(self, login: Login, words: str) -> None:
        number = int(login.database.rpartition("_")[2])
        self.server.hold(PreviewKey("shop-api", number), words)


class PostgresWorld:
    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._process = instance.process
        instance.make_template("golden")
        self._adapters = ExitStack()
        self.server: PostgresServer = self._adapters.enter_context(instance.adapter())

    def can_log_in(self, login: Login) -> bool:
        try:
            self._process.connect(login.user, login.password, login.database).close()
        except psycopg.OperationalError:
            return False
        return True

    def put_foreign(self, key: PreviewKey) -> None:
        self._process.administer(f"CREATE DATABASE {database_name(key)}")

    def put_half_made(self, key: PreviewKey) -> None:
        self.server.create(key, "golden", LIMITS, incarnation="lost", at=NOON)
        name = database_name(key)
        self._instance.manager(
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", f"COMMENT ON DATABASE {name} IS NULL"
        )

    def lose_role(self, key: PreviewKey) -> None:
        name = database_name(key)
        self._process.administer(f"DROP OWNED BY {name}", f"DROP ROLE {name}")

    def rebuild_template(self, built_at: datetime) -> None:
        self._instance.rebuild_template("golden", built_at)

    def hold(self, login: Login, words: str) -> None:
        with self._process.connect(login.user, login.password, login.database) as session:
            session.execute("BEGIN")
            session.execute("CREATE TABLE held (id int)")
            session.execute("PREPARE TRANSACTION 'held'")
        assert "prepared transaction" in words

    def let_go(self, key: PreviewKey) -> None:
        name = database_name(key)
        self._process.administer(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        self._process.administer("ROLLBACK PREPARED 'held'", database=name)
        self._process.administer(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")

    def go_down(self) -> None:
        self._process.stop("immediate")

    def come_back(self) -> None:
        self._process.start()
        self.server = self._adapters.enter_context(self._instance.adapter())

    def close(self) -> None:
        self._adapters.close()


@pytest.fixture(scope="module", params=["fake", *VERSIONS])
def process(request: pytest.FixtureRequest) -> Iterator[PostgresProcess | None]:
    if request.param == "fake":
        yield None
        return
    with postgres_server(request.param) as running:
        yield running


@pytest.fixture
def world(process: PostgresProcess | None) -> Iterator[World]:
    if process is None:
        yield FakeWorld()
        return
    with instance_on(process) as instance:
        real = PostgresWorld(instance)
        yield real
        real.close()


def create(world: World, key: PreviewKey = SHOP_7, incarnation: str = "first") -> None:
    world.server.create(key, "golden", LIMITS, incarnation=incarnation, at=NOON)


def hand_over(world: World, key: PreviewKey = SHOP_7, identity: str = "one") -> Credential:
    create(world, key)
    given = credential(identity)
    world.server.set_credential(key, given)
    return given


def test_where_nothing_was_made_nothing_is_found(world: World) -> None:
    assert world.server.find(SHOP_7) is None
    assert world.server.list_databases() == []
    assert world.server.size_bytes(SHOP_7) == 0


def test_a_new_database_is_ready_and_nobody_can_log_in_yet(world: World) -> None:
    create(world)

    found = world.server.find(SHOP_7)
    assert found is not None
    assert found.name == "preview_shop_api_pr_7"
    assert (found.key, found.has_role, found.has_database) == (SHOP_7, True, True)
    assert (found.is_ready, found.incarnation, found.created_at) == (True, "first", NOON)
    assert (found.credential, found.credential_at, found.migrated) == ("", None, "")
    assert found.template == f"golden@{BUILT_AT.isoformat()}"
    assert not world.can_log_in(world.server.login(SHOP_7, ""))
    assert world.server.size_bytes(SHOP_7) > 0


def test_what_is_ready_stays_as_it_is(world: World) -> None:
    given = hand_over(world)
    found = world.server.find(SHOP_7)

    world.rebuild_template(BUILT_AT + timedelta(days=1))
    create(world, incarnation="second")

    assert world.server.find(SHOP_7) == found
    assert world.can_log_in(world.server.login(SHOP_7, given.password))


def test_one_that_is_ready_gets_other_limits_and_keeps_all_else(world: World) -> None:
    given = hand_over(world)
    world.server.note_migrated(SHOP_7, COMMIT)
    found = world.server.find(SHOP_7)
    assert found is not None
    assert found.limits == LIMITS

    fewer = DatabaseLimits(connections=3, statement_timeout=timedelta(seconds=7))
    for _ in range(2):
        world.server.create(SHOP_7, "golden", fewer, incarnation="second", at=NOON)

    assert world.server.find(SHOP_7) == replace(found, limits=fewer)
    world.server.note_migrated(SHOP_7, HeadSha("d" * 40))
    assert world.server.list_databases()[0].limits == fewer
    assert world.can_log_in(world.server.login(SHOP_7, given.password))


def test_the_password_opens_and_the_role_says_which_one_it_is(world: World) -> None:
    given = hand_over(world, identity="one")

    found = world.server.find(SHOP_7)
    assert found is not None
    assert (found.credential, found.credential_at) == ("one", given.at)
    login = world.server.login(SHOP_7, given.password)
    assert (login.database, login.user) == (found.name, found.name)
    assert world.can_log_in(login)
    assert not world.can_log_in(world.server.login(SHOP_7, "guessed"))


def test_a_new_password_ends_the_old_one(world: World) -> None:
    first = hand_over(world)
    second = credential("two")

    world.server.set_credential(SHOP_7, second)

    found = world.server.find(SHOP_7)
    assert found is not None
    assert found.credential == "two"
    assert world.can_log_in(world.server.login(SHOP_7, second.password))
    assert not world.can_log_in(world.server.login(SHOP_7, first.password))


def test_nothing_is_said_of_a_database_that_is_not_finished(world: World) -> None:
    with pytest.raises(TransientError):
        world.server.set_credential(SHOP_7, credential())
    with pytest.raises(TransientError):
        world.server.note_migrated(SHOP_7, COMMIT)


def test_the_commit_that_migrated_it_is_kept_with_it(world: World) -> None:
    create(world)
    world.server.note_migrated(SHOP_7, COMMIT)

    found = world.server.find(SHOP_7)
    assert found is not None
    assert (found.migrated, found.incarnation, found.is_ready) == (COMMIT, "first", True)


def test_dropped_is_gone_and_dropping_again_does_nothing(world: World) -> None:
    given = hand_over(world)

    world.server.drop(SHOP_7)
    world.server.drop(SHOP_7)

    assert world.server.find(SHOP_7) is None
    assert not world.can_log_in(world.server.login(SHOP_7, given.password))


def test_made_again_it_is_another_one(world: World) -> None:
    given = hand_over(world)
    world.server.drop(SHOP_7)

    create(world, incarnation="second")

    found = world.server.find(SHOP_7)
    assert found is not None
    assert (found.incarnation, found.credential) == ("second", "")
    assert not world.can_log_in(world.server.login(SHOP_7, given.password))


def test_each_preview_has_its_own(world: World) -> None:
    seven, eight = hand_over(world, SHOP_7), hand_over(world, SHOP_8)

    assert {found.key for found in world.server.list_databases()} == {SHOP_7, SHOP_8}
    assert world.can_log_in(world.server.login(SHOP_8, eight.password))
    assert not world.can_log_in(world.server.login(SHOP_8, seven.password))
    world.server.drop(SHOP_7)
    assert world.can_log_in(world.server.login(SHOP_8, eight.password))


def test_what_is_somebody_elses_is_shown_and_never_touched(world: World) -> None:
    world.put_foreign(SHOP_7)

    found = world.server.find(SHOP_7)
    assert found is not None
    assert (found.key, found.is_ready) == (None, False)
    assert world.server.list_databases() == []
    attempts: list[Callable[[], None]] = [
        lambda: create(world),
        lambda: world.server.drop(SHOP_7),
        lambda: world.server.set_credential(SHOP_7, credential()),
        lambda: world.server.note_migrated(SHOP_7, COMMIT),
    ]
    for attempt in attempts:
        with pytest.raises(StalledError) as refused:
            attempt()
        assert refused.value.reason == "DatabaseNotOurs"
    assert world.server.find(SHOP_7) == found


def test_what_is_half_made_is_ours_and_finished_by_the_next_call(world: World) -> None:
    world.put_half_made(SHOP_7)
    [found] = world.server.list_databases()
    assert (found.key, found.is_ready) == (SHOP_7, False)

    create(world, incarnation="second")

    found_later = world.server.find(SHOP_7)
    assert found_later is not None
    assert (found_later.is_ready, found_later.incarnation) == (True, "second")


def test_what_is_half_made_can_be_dropped(world: World) -> None:
    world.put_half_made(SHOP_7)
    world.server.drop(SHOP_7)
    assert world.server.find(SHOP_7) is None


def test_a_role_that_somebody_removed_comes_back_and_the_data_stay(world: World) -> None:
    hand_over(world)
    world.lose_role(SHOP_7)
    found = world.server.find(SHOP_7)
    assert found is not None
    assert (found.key, found.is_ready) == (SHOP_7, False)

    create(world, incarnation="second")

    found = world.server.find(SHOP_7)
    assert found is not None
    assert (found.is_ready, found.incarnation, found.credential) == (True, "first", "")


def test_without_its_template_nothing_is_begun(world: World) -> None:
    with pytest.raises(StalledError) as refused:
        world.server.create(SHOP_7, "silver", LIMITS, incarnation="first", at=NOON)
    assert refused.value.reason == "TemplateMissing"
    assert "silver" in refused.value.message
    assert world.server.find(SHOP_7) is None


def test_what_no_force_ends_is_told_and_shut_and_gone_when_it_is_over(world: World) -> None:
    given = hand_over(world)
    login = world.server.login(SHOP_7, given.password)
    world.hold(login, "it is used by a prepared transaction")

    with pytest.raises(StalledError) as refused:
        world.server.drop(SHOP_7)
    assert refused.value.reason == "DatabaseInUse"
    assert "prepared transaction" in refused.value.message
    assert not world.can_log_in(login)
    found = world.server.find(SHOP_7)
    assert found is not None
    assert (found.key, found.is_ready, found.credential) == (SHOP_7, False, "")
    with pytest.raises(StalledError):
        create(world, incarnation="second")

    world.let_go(SHOP_7)
    create(world, incarnation="second")
    found = world.server.find(SHOP_7)
    assert found is not None
    assert (found.is_ready, found.incarnation) == (True, "second")


def test_templates_say_who_uses_them(world: World) -> None:
    create(world)
    world.server.fill_pool("golden", 1, at=NOON)
    [template] = world.server.templates()
    assert (template.name, template.built_at) == ("golden", BUILT_AT)
    assert (template.users, template.warm) == (1, 1)
    assert template.size_bytes > 0

    world.rebuild_template(BUILT_AT + timedelta(days=1))
    [template] = world.server.templates()
    assert (template.users, template.warm) == (0, 0)


def warm(world: World) -> int:
    [template] = world.server.templates()
    return template.warm


def test_the_pool_is_filled_one_by_one_and_each_clone_is_handed_out_once(world: World) -> None:
    made = [world.server.fill_pool("golden", 2, at=NOON) for _ in range(3)]
    assert made == [True, True, False]
    assert warm(world) == 2

    given = hand_over(world)

    assert warm(world) == 1
    assert world.can_log_in(world.server.login(SHOP_7, given.password))
    assert [found.key for found in world.server.list_databases()] == [SHOP_7]


def test_clones_of_an_older_build_and_more_than_wanted_are_dropped(world: World) -> None:
    for _ in range(2):
        world.server.fill_pool("golden", 2, at=NOON)
    assert not world.server.fill_pool("golden", 1, at=NOON)
    assert warm(world) == 1

    world.rebuild_template(BUILT_AT + timedelta(days=1))
    assert world.server.fill_pool("golden", 1, at=NOON)
    assert warm(world) == 1
    assert not world.server.fill_pool("golden", 0, at=NOON)
    assert warm(world) == 0


def test_a_pool_without_its_template_is_refused(world: World) -> None:
    with pytest.raises(StalledError) as refused:
        world.server.fill_pool("silver", 1, at=NOON)
    assert refused.value.reason == "TemplateMissing"
    assert not world.server.fill_pool("silver", 0, at=NOON)


def test_a_server_that_is_fit_passes_the_check(world: World) -> None:
    world.server.check()


@pytest.mark.fault(48)
def test_a_server_that_is_down_is_told_by_every_call_and_forgets_nothing(world: World) -> None:
    given = hand_over(world)
    world.go_down()
    attempts: list[Callable[[], object]] = [
        world.server.check,
        world.server.list_databases,
        world.server.templates,
        lambda: world.server.find(SHOP_7),
        lambda: create(world),
        lambda: world.server.drop(SHOP_7),
        lambda: world.server.set_credential(SHOP_7, credential("two")),
        lambda: world.server.note_migrated(SHOP_7, COMMIT),
        lambda: world.server.size_bytes(SHOP_7),
        lambda: world.server.fill_pool("golden", 1, at=NOON),
    ]
    for attempt in attempts:
        with pytest.raises(TransientError) as failed:
            attempt()
        assert failed.value.reason == "DatabaseServerUnreachable"

    world.come_back()

    found = world.server.find(SHOP_7)
    assert found is not None
    assert (found.is_ready, found.credential) == (True, "one")
    assert world.can_log_in(world.server.login(SHOP_7, given.password))
