"""A manager's instance on a real server: prepared as our instructions say, with a template, and its adapter."""

import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg import sql

from previews.adapters.databases import marks
from previews.adapters.databases.connections import OnStatement, ServerLogin
from previews.adapters.databases.postgres import PostgresServer
from previews.domain.database import Credential
from previews.domain.naming import database_name
from previews.domain.preview import PreviewKey
from tests.postgres.server import HOST, PostgresProcess

PREPARE = Path(marks.__file__).with_name("prepare.sql")
BUILT_AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(kw_only=True)
class Instance:
    """One manager's, with a login of its own that is no superuser."""

    process: PostgresProcess
    name: str
    password_file: Path
    login: ServerLogin = field(init=False)

    def __post_init__(self) -> None:
        self.login = ServerLogin(
            host=HOST,
            port=self.process.port,
            user=f"manager_{self.name.replace('-', '_')}",
            password_file=self.password_file,
        )

    @property
    def role(self) -> str:
        return marks.instance_role(self.name)

    def prepare(self) -> None:
        password = secrets.token_urlsafe(16)
        self.process.psql(PREPARE, instance=self.role, login=self.login.user)
        self.process.administer(f"ALTER ROLE {self.login.user} PASSWORD '{password}'")
        self.password_file.write_text(password)

    @contextmanager
    def adapter(
        self,
        on_statement: OnStatement | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        open_databases: Collection[str] = (),
    ) -> Iterator[PostgresServer]:
        """Another manager of this instance, as after a restart."""
        server = PostgresServer(
            self.login,
            instance=self.name,
            on_statement=on_statement,
            monotonic=monotonic,
            open_databases=open_databases,
        )
        try:
            yield server
        finally:
            server.close()

    def make_template(self, name: str, *statements: str, built_at: datetime = BUILT_AT) -> None:
        """As a finished build leaves it: closed, marked, and everything in it the group's."""
        group = marks.group_role(name)
        built = marks.Build(template=name, built_at=built_at)
        manager = self.manager
        manager(
            f"CREATE ROLE {group} NOLOGIN ADMIN {self.role}",
            f"COMMENT ON ROLE {group} IS {self._comment(marks.GroupMark(template=name))}",
            f"CREATE DATABASE {name} OWNER {self.role} TEMPLATE template0",
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        )
        self.process.administer(
            f"ALTER SCHEMA public OWNER TO {group}",
            f"SET ROLE {group}",
            "CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL)",
            "INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, 100) AS n",
            "RESET ROLE",
            *statements,
            database=name,
        )
        manager(
            f"ALTER DATABASE {name} IS_TEMPLATE true ALLOW_CONNECTIONS false",
            f"COMMENT ON DATABASE {name} IS {self._comment(marks.TemplateMark(build=built))}",
        )

    def rebuild_template(self, name: str, built_at: datetime) -> None:
        """The same contents, of another time."""
        built = marks.TemplateMark(build=marks.Build(template=name, built_at=built_at))
        self.manager(f"COMMENT ON DATABASE {name} IS {self._comment(built)}")

    def drop_template(self, name: str) -> None:
        self.manager(
            f"ALTER DATABASE {name} IS_TEMPLATE false",
            f"DROP DATABASE {name}",
            f"DROP ROLE {marks.group_role(name)}",
        )

    def manager(self, *statements: str) -> list[tuple[Any, ...]]:
        """What the manager's own login may do, past the adapter."""
        password = self.password_file.read_text()
        with self.process.connect(self.login.user, password) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(sql.SQL(statement))
            return cursor.fetchall() if cursor.description else []

    def connect(
        self, key: PreviewKey, credential: Credential, database: str = ""
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """As a preview's application does, or tries elsewhere."""
        name = database_name(key)
        return self.process.connect(name, credential.password, database or name)

    def remove_all(self) -> None:
        """Everything of this instance, and what tests left in other hands' names, so that the next test finds none."""
        ours = r"^(preview|.*_owner$)"
        for [name] in self.process.administer(
            f"SELECT datname::text FROM pg_database WHERE datname ~ '{ours}'"
            " OR pg_get_userbyid(datdba) ~ '^previews_'"
        ):
            database = sql.Identifier(name).as_string()
            self.process.administer(f"ALTER DATABASE {database} IS_TEMPLATE false")
            self.process.administer(f"DROP DATABASE {database} WITH (FORCE)")
        for [name] in self.process.administer(
            f"SELECT rolname::text FROM pg_roles WHERE rolname ~ '{ours}' AND rolname !~ '^(pg|previews)_'"
        ):
            role = sql.Identifier(name).as_string()
            self.process.administer(f"DROP OWNED BY {role}", f"DROP ROLE {role}")

    def sessions(self) -> set[int]:
        """The server's processes that work for managers of this instance."""
        rows = self.process.administer(
            f"SELECT pid FROM pg_stat_activity WHERE usename = '{self.login.user}'"
        )
        return {pid for [pid] in rows}

    def let_sessions_end(self, but_for: Collection[int] = ()) -> None:
        """Wait until the server has noticed that a manager is gone, and undone what it had not finished."""
        deadline = time.monotonic() + 30
        while self.sessions() - set(but_for):
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def _comment(self, mark: marks.Mark) -> str:
        return sql.Literal(marks.write_mark(mark, self.name)).as_string()


@contextmanager
def instance_on(process: PostgresProcess, name: str = "acme") -> Iterator[Instance]:
    """An instance on a server that has none of its name; nothing of it is left afterwards."""
    with TemporaryDirectory(prefix="previews-") as directory:
        instance = Instance(process=process, name=name, password_file=Path(directory, "password"))
        instance.prepare()
        try:
            yield instance
        finally:
            if process.is_running:
                instance.remove_all()


def credential(identity: str = "one") -> Credential:
    return Credential(id=identity, at=NOON, password=secrets.token_urlsafe(32))
