"""Builds golden templates: into a new name, checked, closed, and only then put in the place of the old one.

What fills a template is let in as a role that is made for the one build and can reach nothing but the one database.
A build that was interrupted leaves that database and that role, whose names only builds have: the next one drops them.
"""

import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import psycopg
from psycopg import errors, sql

from previews.adapters.databases import template_statements as statements
from previews.adapters.databases.connections import Connections, ServerLogin, Session
from previews.adapters.databases.marks import (
    Build,
    GroupMark,
    TemplateMark,
    group_role,
    instance_role,
    read_mark,
    write_mark,
)
from previews.adapters.databases.refusals import refusal
from previews.adapters.databases.template_programs import Programs
from previews.domain.database import Login
from previews.domain.template import Recipe
from previews.errors import PreviewsError, StalledError, TransientError

SWAP_WAIT = timedelta(minutes=1)
"""How long clones that are being made may hold up the swap. New ones wait behind it, and get the new build."""
_PATIENCE_BEFORE_SAYING_SO = timedelta(milliseconds=500)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Names:
    """Of one build."""

    template: str
    instance: str
    token: str

    @property
    def next(self) -> str:
        """The new database until it is finished, and the role that fills it."""
        return f"{self.template}_next_{self.token}"

    @property
    def old(self) -> str:
        """The former build, from the swap until it is dropped."""
        return f"{self.template}_old_{self.token}"

    @property
    def group(self) -> str:
        return group_role(self.template)

    @property
    def owner(self) -> str:
        return instance_role(self.instance)


class TemplateBuilder:
    """Builds on one server. Two builds of one template never run at once, wherever they are started."""

    def __init__(
        self,
        login: ServerLogin,
        *,
        instance: str,
        now: Callable[[], datetime],
        say: Say,
        stop: threading.Event | None = None,
    ) -> None:
        self._login = login
        self._instance = instance
        self._now = now
        self._say = say
        self._stop = stop or threading.Event()

    def build(self, template: str, recipe: Recipe) -> None:
        """Build it anew, and put it in the place of the former build, whose clones live on.

        Raises TransientError("TemplateBeingBuilt"), StalledError("TemplateBuildFailed") with the step and what was
        said in it, or what `refusals` makes of the server's errors. The former build is then as it was.
        """
        names = _Names(template, self._instance, secrets.token_hex(4))
        connections = Connections(self._login, application_name="previews template build")
        try:
            with connections.session() as session, self._alone(session, names):
                with self._step(names, "look at the server"):
                    has_former = self._has_former(session, names)
                    self._sweep(session, names)
                self._build(connections, session, names, recipe, has_former=has_former)
        finally:
            connections.close()

    def _build(
        self,
        connections: Connections,
        session: Session,
        names: _Names,
        recipe: Recipe,
        *,
        has_former: bool,
    ) -> None:
        try:
            programs = self._prepare(session, names, recipe)
            self._fill(names, recipe, programs)
            self._finish(session, names, programs)
            self._swap(session, names, has_former=has_former)
        except BaseException:
            # The session may be what is broken. Whatever stays is dropped by the next build.
            with suppress(PreviewsError), connections.session() as another:
                self._sweep(another, names)
            raise
        if has_former:
            self._drop_former(session, names)
        self._say(f"{names.template}: built")

    @contextmanager
    def _alone(self, session: Session, names: _Names) -> Iterator[None]:
        """Hold a lock of the server's, which ends with our connection at the latest."""
        name = f"previews template {names.instance}/{names.template}"
        session.run(sql.SQL("SET idle_session_timeout = 0"))
        [answer] = session.rows(statements.Answer, statements.LOCK, [name])
        if not answer.yes:
            raise TransientError(
                "TemplateBeingBuilt",
                f"{names.template} on {self._login} is being built by somebody else: wait for that to end",
            )
        yield

    @contextmanager
    def _step(self, names: _Names, what: str) -> Iterator[None]:
        """Say what is done, and put that before whatever goes wrong in it."""
        self._say(f"{names.template}: {what}")
        if self._stop.is_set():
            raise TransientError(
                "TemplateBuildFailed", f"{names.template}: stopped before the step: {what}"
            )
        try:
            try:
                yield
            except psycopg.Error as error:
                raise refusal(error, str(self._login)) from error
        except PreviewsError as error:
            kind = TransientError if isinstance(error, TransientError) else StalledError
            raise kind(
                error.reason, f"{names.template}: could not {what}: {error.message}"
            ) from error

    def _has_former(self, session: Session, names: _Names) -> bool:
        """Whether there is a build to take the place of. Raises StalledError if that is not ours."""
        former = session.rows(statements.Found, statements.DATABASE, [names.template])
        for found in former:
            mark = read_mark(found.comment, TemplateMark, self._instance)
            if found.owner != names.owner or mark is None or mark.build.template != names.template:
                raise StalledError(
                    "DatabaseNotOurs",
                    f"there is a database {names.template} that is no template of {self._instance}. Nothing "
                    "was changed: rename or remove it, or give the template another name",
                )
        return bool(former)

    def _sweep(self, session: Session, names: _Names) -> None:
        """Drop what builds of this template left behind. Nobody else is building: we hold the lock."""
        stem = re.escape(names.template)
        pattern = f"^{stem}_(next|old)_[0-9a-f]{{8}}$"
        for left in session.rows(statements.Left, statements.LEFT, [names.owner, pattern]):
            if not self._is_left(left, names.template):
                continue
            if left.is_template:
                session.run(statements.naming(statements.NO_TEMPLATE, left.name))
            session.run(statements.naming(statements.DROP_DATABASE, left.name))
        mark = statements.building_mark(names.template, self._instance)
        for role in session.rows(statements.Name, statements.LEFT_ROLES, [pattern, mark]):
            session.run(statements.naming(statements.DROP_ROLE, role.name))

    def _is_left(self, left: statements.Left, template: str) -> bool:
        """Whether a build made it, which marks it once it is there, and before that lets nobody in."""
        if left.comment is None:
            return not left.is_open
        mark = read_mark(left.comment, TemplateMark, self._instance)
        is_former = mark is not None and mark.build.template == template
        return is_former or left.comment == statements.building_mark(template, self._instance)

    def _prepare(self, session: Session, names: _Names, recipe: Recipe) -> Programs:
        """Make the empty database, and the role that may do everything in it and nothing elsewhere."""
        password = secrets.token_urlsafe(32)
        with self._step(names, f"make an empty database from {recipe.base}"):
            self._ensure_group(session, names)
            verifier = session.verifier(password, names.next)
            mark = statements.building_mark(names.template, self._instance)
            with session.transaction():
                for statement in statements.make_role(
                    names.next, names.group, names.owner, verifier, mark
                ):
                    session.run(statement)
            session.run(statements.make_database(names.next, names.owner, recipe.base))
            with session.transaction():
                for statement in statements.open_to(names.next, names.group, mark):
                    session.run(statement)
            self._inside(names, statements.give_schema(names.group))
        login = Login(
            host=self._login.host,
            port=self._login.port,
            database=names.next,
            user=names.next,
            password=password,
            sslmode=self._login.sslmode,
        )
        return Programs(
            login,
            seconds_max=recipe.step_at_most.total_seconds(),
            say=lambda line: self._say(f"{names.template}: | {line}"),
            stop=self._stop,
        )

    def _ensure_group(self, session: Session, names: _Names) -> None:
        found = session.rows(statements.Comment, statements.ROLE, [names.group])
        for role in found:
            mark = read_mark(role.comment, GroupMark, self._instance)
            if mark is None or mark.template != names.template:
                raise StalledError(
                    "DatabaseNotOurs",
                    f"there is a role {names.group} without the mark of {self._instance}: rename or remove it",
                )
        if not found:
            comment = write_mark(GroupMark(template=names.template), self._instance)
            with session.transaction():
                for statement in statements.make_group(names.group, names.owner, comment):
                    session.run(statement)

    def _fill(self, names: _Names, recipe: Recipe, programs: Programs) -> None:
        for path in recipe.sql_files:
            with self._step(names, f"run {path}"):
                programs.run_file(path)
        if recipe.archive:
            with self._step(names, f"restore {recipe.archive}"):
                programs.restore(recipe.archive)
        if recipe.command:
            with self._step(names, f"run the command {recipe.command[0]}"):
                programs.run_command(recipe.command)
        if recipe.anonymise:
            with self._step(names, f"anonymise with {recipe.anonymise}"):
                programs.run_file(recipe.anonymise)
        for check in recipe.checks:
            with self._step(names, f"check {' '.join(check.split())}"):
                _require_true(programs.run_sql(check))

    def _finish(self, session: Session, names: _Names, programs: Programs) -> None:
        """Leave nothing of the build's own role behind, and nobody connected."""
        with self._step(names, "freeze the rows and gather statistics"):
            programs.run_sql(statements.VACUUM_OWN)
        with self._step(names, f"give everything in it to {names.group}"):
            programs.run_sql(statements.hand_over(names.next, names.group).as_string())
        with self._step(names, "close it"):
            session.run(statements.naming(statements.NO_LOGIN, names.next))
            self._inside(names, sql.SQL("VACUUM (FREEZE)"))
            session.run(statements.naming(statements.CLOSE, names.next))
            session.run(statements.END_SESSIONS, [names.next])
            session.run(statements.naming(statements.REVOKE_FROM_ITS_ROLE, names.next))
            session.run(statements.naming(statements.DROP_ROLE, names.next))

    def _inside(self, names: _Names, statement: sql.SQL | sql.Composed) -> None:
        """Run a statement as the manager within the new database. None of them calls a function that is in there."""
        connections = Connections(
            replace(self._login, database=names.next), application_name="previews template build"
        )
        try:
            with connections.session() as session:
                session.run(statement)
        finally:
            connections.close()

    def _swap(self, session: Session, names: _Names, *, has_former: bool) -> None:
        with self._step(names, "put it in its place"):
            try:
                self._rename(session, names, _PATIENCE_BEFORE_SAYING_SO, has_former=has_former)
            except errors.LockNotAvailable:
                self._say(
                    f"{names.template}: clones are being made from the former build: waiting for them, at most "
                    f"{SWAP_WAIT.total_seconds():g} s"
                )
                self._rename_at_last(session, names, has_former=has_former)

    def _rename_at_last(self, session: Session, names: _Names, *, has_former: bool) -> None:
        try:
            self._rename(session, names, SWAP_WAIT, has_former=has_former)
        except errors.LockNotAvailable as error:
            raise TransientError(
                "TemplateInUse",
                f"clones of the former build were still being made after {SWAP_WAIT.total_seconds():g} s: "
                "build it again when they are ready",
            ) from error

    def _rename(
        self, session: Session, names: _Names, patience: timedelta, *, has_former: bool
    ) -> None:
        build = Build(template=names.template, built_at=self._now())
        comment = write_mark(TemplateMark(build=build), self._instance)
        with session.transaction():
            session.run(statements.patience(patience))
            if has_former:
                session.run(statements.rename(names.template, names.old))
            for statement in statements.make_template(names.next, names.group, comment):
                session.run(statement)
            session.run(statements.rename(names.next, names.template))

    def _drop_former(self, session: Session, names: _Names) -> None:
        """Nothing depends on it, so that if it stays, the next build drops it."""
        try:
            with self._step(names, "drop the former build"):
                self._sweep(session, names)
        except PreviewsError as error:
            self._say(f"{error.message} (the next build does)")


def _require_true(rows: list[str]) -> None:
    if rows != ["t"]:
        # What it answered instead may be somebody's data.
        raise StalledError("TemplateBuildFailed", "it did not answer with one row that is true")
