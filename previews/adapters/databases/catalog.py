"""What a server's catalogue says of previews, templates and warm clones, and whether it is ours.

A database is ours when the instance's role owns it and its comment bears our mark, or, before it is finished, nothing
at all while nobody may connect. A role is ours by its comment, which it has from the moment that it exists.
"""

from dataclasses import dataclass

from psycopg import sql

from previews.adapters.databases.connections import Session
from previews.adapters.databases.marks import (
    POOL_PREFIX,
    Build,
    DatabaseMark,
    GroupMark,
    PoolMark,
    RoleMark,
    TemplateMark,
    group_role,
    instance_role,
    key_of_name,
    read_mark,
)
from previews.domain.database import Database
from previews.domain.naming import DATABASE_PREFIX, database_name
from previews.domain.preview import PreviewKey
from previews.errors import StalledError

_STANDING = sql.SQL("""
    SELECT coalesce(d.datname, r.rolname)::text AS name,
           d.oid IS NOT NULL AS has_database,
           pg_get_userbyid(d.datdba)::text AS owner,
           coalesce(d.datallowconn, false) AS is_open,
           coalesce(d.datconnlimit = -2, false) AS is_broken,
           shobj_description(d.oid, 'pg_database') AS database_comment,
           r.oid IS NOT NULL AS has_role,
           coalesce(r.rolcanlogin, false) AS can_log_in,
           shobj_description(r.oid, 'pg_authid') AS role_comment
      FROM (SELECT * FROM pg_database WHERE {database}) AS d
      FULL JOIN (SELECT * FROM pg_roles WHERE {role}) AS r ON r.rolname = d.datname
""")
_OF_ONE = _STANDING.format(database=sql.SQL("datname = %s"), role=sql.SQL("rolname = %s"))
_OF_ALL = _STANDING.format(
    database=sql.SQL("starts_with(datname::text, %s)"),
    role=sql.SQL("starts_with(rolname::text, %s)"),
)
_OWNED = sql.SQL("""
    SELECT datname::text AS name,
           datallowconn AS is_open,
           shobj_description(oid, 'pg_database') AS comment
      FROM pg_database
     WHERE pg_get_userbyid(datdba) = %s
     ORDER BY datname
""")
_SIZE = sql.SQL("SELECT pg_database_size(oid) AS size_bytes FROM pg_database WHERE datname = %s")
_GROUP = sql.SQL(
    "SELECT shobj_description(oid, 'pg_authid') AS comment FROM pg_roles WHERE rolname = %s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What bears a preview's name, as it is in the catalogue."""

    name: str
    has_database: bool
    owner: str | None
    is_open: bool
    """Whether the database may be connected to at all."""
    is_broken: bool
    """Whether the server itself was interrupted while it dropped the database."""
    database_comment: str | None
    has_role: bool
    can_log_in: bool
    role_comment: str | None

    def mark(self, instance: str) -> DatabaseMark | None:
        """The database's, if it is about what bears this name."""
        mark = read_mark(self.database_comment, DatabaseMark, instance)
        return mark if mark and mark.key == key_of_name(self.name) else None

    def role_mark(self, instance: str) -> RoleMark | None:
        """The role's, if it is about what bears this name."""
        mark = read_mark(self.role_comment, RoleMark, instance)
        return mark if mark and mark.key == key_of_name(self.name) else None

    def is_ours(self, instance: str) -> bool:
        """Whether nothing of it is somebody else's."""
        unfinished = self.database_comment is None and not self.is_open
        database_is_ours = self.owner == instance_role(instance) and (
            unfinished or self.mark(instance) is not None
        )
        return (database_is_ours or not self.has_database) and (
            self.role_mark(instance) is not None or not self.has_role
        )

    def data(self, instance: str) -> DatabaseMark | None:
        """The database's mark, if it was finished and nobody has begun to drop it since."""
        return self.mark(instance) if self.is_open and not self.is_broken else None

    def described(self, instance: str) -> Database:
        """The same in the core's words."""
        mark = self.mark(instance)
        role = self.role_mark(instance)
        return Database(
            name=self.name,
            key=key_of_name(self.name) if self.is_ours(instance) else None,
            has_role=self.has_role,
            has_database=self.has_database,
            is_ready=self.has_role and self.is_ours(instance) and self.data(instance) is not None,
            incarnation=mark.incarnation if mark else "",
            created_at=mark.created_at if mark else None,
            credential=role.credential if role and self.can_log_in else "",
            credential_at=role.credential_at if role and self.can_log_in else None,
            template=str(mark.build) if mark else "",
            migrated=mark.migrated if mark else "",
            limits=mark.limits if mark else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A database that the instance's role owns."""

    name: str
    is_open: bool
    comment: str | None

    def template(self, instance: str) -> Build | None:
        """What it is a golden template of."""
        mark = read_mark(self.comment, TemplateMark, instance)
        return mark.build if mark and mark.build.template == self.name else None

    def warm_clone(self, instance: str) -> Build | None:
        """What it is a waiting clone of."""
        mark = read_mark(self.comment, PoolMark, instance)
        return mark.build if mark and self.name.startswith(POOL_PREFIX) else None

    def preview(self, instance: str) -> Build | None:
        """What the preview's database that it is was cloned from."""
        mark = read_mark(self.comment, DatabaseMark, instance)
        return mark.build if mark and database_name(mark.key) == self.name else None

    @property
    def is_unfinished_clone(self) -> bool:
        """Whether it was to become a waiting clone, and nobody finished it."""
        return self.name.startswith(POOL_PREFIX) and self.comment is None and not self.is_open


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comment:
    comment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    size_bytes: int


def standing_of(session: Session, key: PreviewKey) -> Standing | None:
    """What bears a preview's name, whosever it is."""
    name = database_name(key)
    found = session.rows(Standing, _OF_ONE, [name, name])
    return found[0] if found else None


def our_standing(session: Session, key: PreviewKey, instance: str) -> Standing | None:
    """The same. Raises StalledError("DatabaseNotOurs") if it is not ours."""
    found = standing_of(session, key)
    if found and not found.is_ours(instance):
        raise StalledError(
            "DatabaseNotOurs",
            f"A database or role {found.name} is there already and does not bear the mark of {instance} "
            f"for {key}. Nothing was changed: rename or remove it.",
        )
    return found


def all_standing(session: Session, instance: str) -> list[Standing]:
    """Everything of ours that belongs to a preview."""
    found = session.rows(Standing, _OF_ALL, [DATABASE_PREFIX, DATABASE_PREFIX])
    return [
        standing for standing in found if key_of_name(standing.name) and standing.is_ours(instance)
    ]


def owned_databases(session: Session, instance: str) -> list[Owned]:
    """Every database of the instance's role, by name."""
    return session.rows(Owned, _OWNED, [instance_role(instance)])


def size_bytes_of(session: Session, name: str) -> int:
    """What a database takes up on disk; nothing when there is none."""
    found = session.rows(_Size, _SIZE, [name])
    return found[0].size_bytes if found else 0


def template_build(owned: list[Owned], name: str, instance: str) -> Build:
    """The present build of a golden template. Raises StalledError("TemplateMissing")."""
    for database in owned:
        build = database.template(instance) if database.name == name else None
        if build:
            return build
    raise StalledError(
        "TemplateMissing",
        f"The server has no golden template {name} of {instance}: build it (previews template build)",
    )


def group_exists(session: Session, template: str, instance: str) -> bool:
    """Whether the role is there, and ours, that owns what is in a template."""
    found = session.rows(_Comment, _GROUP, [group_role(template)])
    mark = read_mark(found[0].comment, GroupMark, instance) if found else None
    return mark is not None and mark.template == template
