"""A manager that dies before or after any statement: the next one finishes, and nobody enters what is half made."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Literal

import psycopg
import pytest

from previews.adapters.databases.postgres import PostgresServer
from previews.domain.database import Credential, DatabaseLimits
from previews.domain.naming import database_name
from previews.domain.preview import HeadSha, PreviewKey
from tests.postgres import VERSIONS, Instance, instance_on, postgres_server
from tests.postgres.instance import BUILT_AT, NOON, credential

KEY, NEIGHBOUR = PreviewKey("shop", 7), PreviewKey("shop", 8)
NAME = database_name(KEY)
COMMIT = HeadSha("c" * 40)
LIMITS = DatabaseLimits()
STRANGER = Credential(id="stranger", at=NOON, password="stranger")

Work = Callable[[PostgresServer], object]


class Died(BaseException):
    """Nothing of the manager runs after this, so that its connections are closed by the kernel."""


class Death:
    """Comes at one moment, counted over the moments before and after each statement; or never, and counts."""

    def __init__(self, at: int | None = None) -> None:
        self._at = at
        self.statements: list[str] = []
        self.moments = 0

    def __call__(self, when: Literal["before", "after"], statement: str) -> None:
        moment, self.moments = self.moments, self.moments + 1
        if when == "before":
            self.statements.append(" ".join(statement.split()))
        if moment == self._at:
            raise Died


@pytest.fixture(scope="module", params=VERSIONS)
def instance(request: pytest.FixtureRequest) -> Iterator[Instance]:
    with postgres_server(request.param) as process, instance_on(process) as prepared:
        prepared.make_template("golden")
        process.administer("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
        yield prepared


@pytest.fixture
def neighbour(instance: Instance) -> Iterator[Credential]:
    """The password of another preview, which tries to get into everything."""
    given = credential()
    with instance.adapter() as server:
        server.create(NEIGHBOUR, "golden", LIMITS, incarnation="neighbour", at=NOON)
        server.set_credential(NEIGHBOUR, given)
    yield given
    with instance.adapter() as server:
        server.drop(NEIGHBOUR)


def make(server: PostgresServer) -> None:
    server.create(KEY, "golden", LIMITS, incarnation="first", at=NOON)


def fill(server: PostgresServer) -> None:
    server.fill_pool("golden", 1, at=NOON)


def die_everywhere(
    instance: Instance, neighbour: Credential, *, before: Work, work: Work, after: Work
) -> list[str]:
    """Die at each moment of `work`, look around, do it again with another manager, and see that `after` holds.

    Comes back with the statements that there were.
    """
    alive = Death()
    with instance.adapter() as server:
        before(server)
        with instance.adapter(alive) as working:
            work(working)
        after(server)
        clean(instance, server)
        assert alive.moments == 2 * len(alive.statements) > 0
        for moment in range(alive.moments):
            before(server)
            living = instance.sessions()
            with instance.adapter(Death(at=moment)) as dying, pytest.raises(Died):
                work(dying)
            nobody_else_can_enter(instance, neighbour)
            instance.let_sessions_end(but_for=living)
            work(server)
            after(server)
            nobody_else_can_enter(instance, neighbour)
            clean(instance, server)
    return alive.statements


def clean(instance: Instance, server: PostgresServer) -> None:
    """Drop it all: nothing may be left, whatever happened before."""
    server.drop(KEY)
    server.fill_pool("golden", 0, at=NOON)
    instance.rebuild_template("golden", BUILT_AT)
    assert server.find(KEY) is None
    names = instance.process.administer(
        "SELECT datname::text FROM pg_database WHERE datname LIKE 'preview%' ORDER BY 1"
    )
    assert names == [(database_name(NEIGHBOUR),)]
    roles = instance.process.administer(
        "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'preview\\_%' ORDER BY 1"
    )
    assert roles == [(database_name(NEIGHBOUR),)]


def nobody_else_can_enter(instance: Instance, neighbour: Credential) -> None:
    """Neither another preview nor any other role gets into what is not its own, finished or not."""
    databases = instance.process.administer(
        "SELECT datname::text, has_database_privilege('public', oid, 'CONNECT, TEMPORARY')"
        " AND datallowconn FROM pg_database WHERE datname ~ '^(preview|golden)'"
    )
    for name, is_open in databases:
        assert not is_open, name
        if name not in {database_name(NEIGHBOUR), "golden"}:
            with pytest.raises(psycopg.OperationalError):
                instance.connect(NEIGHBOUR, neighbour, name)
            with pytest.raises(psycopg.OperationalError):
                instance.process.connect("stranger", STRANGER.password, name)


def is_made(server: PostgresServer) -> None:
    found = server.find(KEY)
    assert found is not None
    assert (found.is_ready, found.incarnation) == (True, "first")
    assert found.template == f"golden@{BUILT_AT.isoformat()}"


def nothing(server: PostgresServer) -> None:
    del server


@pytest.mark.fault(46)
@pytest.mark.fault(49)
def test_a_creation_that_died_anywhere_is_finished_by_the_next(
    instance: Instance, neighbour: Credential
) -> None:
    statements = die_everywhere(instance, neighbour, before=nothing, work=make, after=is_made)
    assert any(statement.startswith("CREATE DATABASE") for statement in statements)


@pytest.mark.fault(49)
def test_a_handover_that_died_anywhere_is_finished_by_the_next(
    instance: Instance, neighbour: Credential
) -> None:
    statements = die_everywhere(instance, neighbour, before=fill, work=make, after=is_made)
    assert any("RENAME TO" in statement for statement in statements)
    assert not any(statement.startswith("CREATE DATABASE") for statement in statements)


@pytest.mark.fault(49)
def test_a_new_password_that_died_anywhere_is_the_one_or_the_other_and_said(
    instance: Instance, neighbour: Credential
) -> None:
    old, new = credential("old"), credential("new")

    def before(server: PostgresServer) -> None:
        make(server)
        server.set_credential(KEY, old)

    def work(server: PostgresServer) -> None:
        found = server.find(KEY)
        assert found is not None
        instance.connect(KEY, old if found.credential == "old" else new).close()
        server.set_credential(KEY, new)

    def after(server: PostgresServer) -> None:
        found = server.find(KEY)
        assert found is not None
        assert found.credential == "new"
        instance.connect(KEY, new).close()
        with pytest.raises(psycopg.OperationalError):
            instance.connect(KEY, old)

    die_everywhere(instance, neighbour, before=before, work=work, after=after)


@pytest.mark.fault(49)
def test_a_note_that_died_anywhere_leaves_the_mark_whole(
    instance: Instance, neighbour: Credential
) -> None:
    def work(server: PostgresServer) -> None:
        is_made(server)
        server.note_migrated(KEY, COMMIT)

    def after(server: PostgresServer) -> None:
        is_made(server)
        found = server.find(KEY)
        assert found is not None
        assert found.migrated == COMMIT

    die_everywhere(instance, neighbour, before=make, work=work, after=after)


@pytest.mark.fault(47)
@pytest.mark.fault(49)
def test_a_removal_that_died_anywhere_is_finished_by_the_next(
    instance: Instance, neighbour: Credential
) -> None:
    given = credential()

    def before(server: PostgresServer) -> None:
        make(server)
        server.set_credential(KEY, given)

    def after(server: PostgresServer) -> None:
        assert server.find(KEY) is None
        with pytest.raises(psycopg.OperationalError):
            instance.connect(KEY, given)

    statements = die_everywhere(
        instance, neighbour, before=before, work=lambda server: server.drop(KEY), after=after
    )
    assert [statement.split()[0] for statement in statements][-4:] == [
        *("BEGIN", "DROP", "DROP", "COMMIT")
    ]


@pytest.mark.fault(49)
def test_a_removal_that_died_and_a_preview_that_came_back_make_a_new_database(
    instance: Instance, neighbour: Credential
) -> None:
    """Wherever the removal died, the preview is made anew, or, where nothing was begun, is still there."""
    with instance.adapter() as server:
        for moment in range(2 * len(removal_statements(instance))):
            make(server)
            living = instance.sessions()
            with instance.adapter(Death(at=moment)) as dying, pytest.raises(Died):
                dying.drop(KEY)
            instance.let_sessions_end(but_for=living)
            server.create(KEY, "golden", LIMITS, incarnation="second", at=NOON)
            given = credential()
            server.set_credential(KEY, given)
            instance.connect(KEY, given).close()
            nobody_else_can_enter(instance, neighbour)
            clean(instance, server)


def removal_statements(instance: Instance) -> list[str]:
    counting = Death()
    with instance.adapter() as server:
        make(server)
    with instance.adapter(counting) as server:
        server.drop(KEY)
    return counting.statements


@pytest.mark.fault(49)
def test_a_pool_that_died_anywhere_while_it_was_renewed_is_filled_by_the_next(
    instance: Instance, neighbour: Credential
) -> None:
    newer = BUILT_AT + timedelta(days=1)

    def before(server: PostgresServer) -> None:
        fill(server)
        instance.rebuild_template("golden", newer)

    def after(server: PostgresServer) -> None:
        [template] = server.templates()
        assert (template.built_at, template.warm) == (newer, 1)
        pool = instance.process.administer(
            "SELECT datname FROM pg_database WHERE datname LIKE 'previews_pool_%'"
        )
        assert len(pool) == 1

    die_everywhere(instance, neighbour, before=before, work=fill, after=after)
