"""The limits of a database that is there already: changed for new sessions, and never against its own application."""

import json
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from previews.domain.database import DatabaseLimits
from previews.domain.preview import PreviewKey
from tests.postgres import VERSIONS, Instance, instance_on, postgres_server
from tests.postgres.instance import NOON, credential

KEY, NAME = PreviewKey("shop", 7), "preview_shop_pr_7"
GIVEN = credential()
LIMITS = DatabaseLimits()
OTHERS = DatabaseLimits(
    connections=1, statement_timeout=timedelta(seconds=7), idle_timeout=timedelta(minutes=2)
)


@pytest.fixture(scope="module", params=VERSIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Instance]:
    with postgres_server(request.param) as process, instance_on(process) as prepared:
        prepared.make_template("golden")
        yield prepared


@pytest.fixture
def instance(server: Instance) -> Iterator[Instance]:
    """With one preview's database, which its application can use."""
    with server.adapter() as adapter:
        adapter.create(KEY, "golden", LIMITS, incarnation="first", at=NOON)
        adapter.set_credential(KEY, GIVEN)
        yield server
        adapter.drop(KEY)


def limit(instance: Instance, limits: DatabaseLimits) -> None:
    with instance.adapter() as adapter:
        adapter.create(KEY, "golden", limits, incarnation="second", at=NOON)


def session(instance: Instance) -> psycopg.Connection:
    return instance.process.connect(NAME, GIVEN.password, NAME)


def shown(connection: psycopg.Connection) -> list[str]:
    settings = ("statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout")
    return [str(connection.execute(f"SHOW {each}").fetchall()[0][0]) for each in settings]


def test_new_sessions_get_them_and_open_ones_go_on_as_they_began(instance: Instance) -> None:
    with session(instance) as opened:
        assert shown(opened) == ["1min", "10min", "10min"]
        opened.commit()

        limit(instance, OTHERS)

        assert shown(opened) == ["1min", "10min", "10min"]
        opened.commit()
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            session(instance)
    with session(instance) as later:
        assert shown(later) == ["7s", "2min", "2min"]


def test_what_its_application_chose_for_itself_stays_until_they_change(instance: Instance) -> None:
    with session(instance) as own:
        own.execute(f"ALTER ROLE {NAME} SET statement_timeout = '5min'")
    limit(instance, LIMITS)
    with session(instance) as later:
        assert shown(later)[0] == "5min"

    limit(instance, OTHERS)
    with session(instance) as last:
        assert shown(last)[0] == "7s"


def test_a_mark_that_says_nothing_of_limits_is_ours_and_gets_them_noted(
    instance: Instance,
) -> None:
    """As managers wrote it before they noted them."""
    with instance.adapter() as adapter:
        before = adapter.find(KEY)
        [(comment,)] = instance.process.administer(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
            f" WHERE datname = '{NAME}'"
        )
        said = json.loads(comment)
        del said["limits"]
        instance.process.administer(f"COMMENT ON DATABASE {NAME} IS '{json.dumps(said)}'")
        found = adapter.find(KEY)
        assert found is not None
        assert (found.key, found.is_ready, found.limits) == (KEY, True, None)

        limit(instance, LIMITS)

        assert adapter.find(KEY) == before
