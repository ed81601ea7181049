"""A database server in memory: databases, roles, passwords, templates and warm clones, and what may go wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from previews.domain.database import Credential, Database, DatabaseLimits, Login, Template
from previews.domain.naming import database_name
from previews.domain.preview import HeadSha, PreviewKey
from previews.errors import PreviewsError, StalledError, TransientError

SIZE_BYTES = 7 * 1024**2

OnOperation = Callable[[Literal["before", "after"], str], None]
"""Called around each operation with its name; a test that raises there has the manager die at this point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeBuild:
    """A template at one time, or a waiting clone of it."""

    template: str
    built_at: datetime

    def __str__(self) -> str:
        return f"{self.template}@{self.built_at.isoformat()}"


class FakeDatabaseServer:
    """`ports.DatabaseServer`. What is of this instance; others' things are put there by name."""

    def __init__(self, *, host: str = "db.test", port: int = 5432) -> None:
        self._address = (host, port)
        self.databases: dict[str, Database] = {}
        """By name; those with `key=None` are somebody else's."""
        self.passwords: dict[str, str] = {}
        self.builds: dict[str, FakeBuild] = {}
        self.pool: list[FakeBuild] = []
        self.sizes: dict[PreviewKey, int] = {}
        self.on_operation: OnOperation | None = None
        self.problem: PreviewsError | None = None
        """What every operation raises instead of doing anything."""
        self._held: dict[PreviewKey, str] = {}
        self._closed: set[PreviewKey] = set()

    # What a test does to it.

    def fail(self, reason: str = "DatabaseServerUnreachable", *, stalled: bool = False) -> None:
        """From now on it cannot be asked, or refuses everything."""
        kind = StalledError if stalled else TransientError
        self.problem = kind(reason, f"{self._address[0]}: {reason}")

    def recover(self) -> None:
        self.problem = None

    def put_template(self, name: str, built_at: datetime) -> None:
        """Build it, or build it anew."""
        self.builds[name] = FakeBuild(template=name, built_at=built_at)

    def put_foreign(self, key: PreviewKey) -> None:
        """Somebody else's database of a preview's name."""
        name = database_name(key)
        self.databases[name] = Database(name=name, key=None, has_role=False, has_database=True)

    def put_half_made(self, key: PreviewKey, *, has_database: bool = True) -> None:
        """As a manager leaves it that died while it made it."""
        name = database_name(key)
        self.databases[name] = Database(
            name=name, key=key, has_role=True, has_database=has_database
        )

    def lose_role(self, key: PreviewKey) -> None:
        """As a person may drop it by hand."""
        self._change(key, has_role=False, is_ready=False, credential="", credential_at=None)
        self.passwords.pop(database_name(key), None)

    def hold(self, key: PreviewKey, words: str) -> None:
        """Have something in the database that no force ends."""
        self._held[key] = words

    def let_go(self, key: PreviewKey) -> None:
        del self._held[key]

    def can_log_in(self, login: Login) -> bool:
        """Whether an application gets in with this."""
        found = self.databases.get(login.database)
        return (
            found is not None
            and found.is_ready
            and login.user == login.database
            and self.passwords.get(login.user) == login.password
        )

    # The port.

    def find(self, key: PreviewKey) -> Database | None:
        with self._operation("find"):
            return self.databases.get(database_name(key))

    def list_databases(self) -> list[Database]:
        with self._operation("list_databases"):
            return [self.databases[name] for name in sorted(self.databases) if self._is_ours(name)]

    def create(
        self,
        key: PreviewKey,
        template: str,
        limits: DatabaseLimits,
        *,
        incarnation: str,
        at: datetime,
    ) -> None:
        with self._operation("create"):
            found = self._ours(key)
            if found and found.incarnation and key not in self._closed:
                self._change(key, has_role=True, is_ready=True, limits=limits)
                return
            if template not in self.builds:
                raise StalledError("TemplateMissing", f"There is no template {template}")
            if found and found.has_database:
                self._drop_database(key)
            build = self.builds[template]
            if build in self.pool:
                self.pool.remove(build)
            self._closed.discard(key)
            name = database_name(key)
            self.databases[name] = Database(
                name=name,
                key=key,
                has_role=True,
                has_database=True,
                is_ready=True,
                incarnation=incarnation,
                created_at=at,
                template=str(build),
                limits=limits,
            )

    def set_credential(self, key: PreviewKey, credential: Credential) -> None:
        with self._operation("set_credential"):
            self._ready(key)
            self.passwords[database_name(key)] = credential.password
            self._change(key, credential=credential.id, credential_at=credential.at)

    def note_migrated(self, key: PreviewKey, head_sha: HeadSha) -> None:
        with self._operation("note_migrated"):
            self._ready(key)
            self._change(key, migrated=head_sha)

    def drop(self, key: PreviewKey) -> None:
        with self._operation("drop"):
            if self._ours(key) is None:
                return
            self.passwords.pop(database_name(key), None)
            self._closed.add(key)
            self._change(key, is_ready=False, credential="", credential_at=None)
            self._drop_database(key)
            self._closed.discard(key)
            del self.databases[database_name(key)]

    def login(self, key: PreviewKey, password: str) -> Login:
        host, port = self._address
        name = database_name(key)
        return Login(host=host, port=port, database=name, user=name, password=password)

    def size_bytes(self, key: PreviewKey) -> int:
        with self._operation("size_bytes"):
            found = self.databases.get(database_name(key))
            return self.sizes.get(key, SIZE_BYTES) if found and found.has_database else 0

    def templates(self) -> list[Template]:
        with self._operation("templates"):
            made_from = [found.template for found in self.databases.values()]
            return [
                Template(
                    name=name,
                    built_at=build.built_at,
                    size_bytes=SIZE_BYTES,
                    users=made_from.count(str(build)),
                    warm=self.pool.count(build),
                )
                for name, build in sorted(self.builds.items())
            ]

    def fill_pool(self, template: str, wanted: int, *, at: datetime) -> bool:
        del at
        with self._operation("fill_pool"):
            build = self.builds.get(template)
            if wanted and build is None:
                raise StalledError("TemplateMissing", f"There is no template {template}")
            ready = [clone for clone in self.pool if clone == build]
            others = [clone for clone in self.pool if clone.template != template]
            self.pool = others + ready[:wanted]
            if build is None or len(ready) >= wanted:
                return False
            self.pool.append(build)
            return True

    def check(self) -> None:
        with self._operation("check"):
            pass

    @contextmanager
    def _operation(self, name: str) -> Iterator[None]:
        if self.on_operation:
            self.on_operation("before", name)
        if self.problem:
            raise type(self.problem)(self.problem.reason, self.problem.message)
        yield
        if self.on_operation:
            self.on_operation("after", name)

    def _is_ours(self, name: str) -> bool:
        return self.databases[name].key is not None

    def _ours(self, key: PreviewKey) -> Database | None:
        found = self.databases.get(database_name(key))
        if found and found.key is None:
            raise StalledError("DatabaseNotOurs", f"{found.name} does not bear our mark")
        return found

    def _ready(self, key: PreviewKey) -> None:
        found = self._ours(key)
        if not found or not found.is_ready:
            raise TransientError(
                "DatabaseRefused", f"The database {database_name(key)} is not finished"
            )

    def _drop_database(self, key: PreviewKey) -> None:
        if key in self._held:
            raise StalledError("DatabaseInUse", self._held[key])

    def _change(self, key: PreviewKey, **values: object) -> None:
        name = database_name(key)
        self.databases[name] = replace(self.databases[name], **values)  # type: ignore[arg-type]
