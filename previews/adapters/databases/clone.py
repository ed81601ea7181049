"""The one statement that copies a template, and how the server is to copy it."""

from dataclasses import dataclass
from enum import StrEnum

from psycopg import errors, sql

from previews.adapters.databases.catalog import size_bytes_of
from previews.adapters.databases.connections import Session
from previews.adapters.databases.refusals import words_of
from previews.errors import TransientError

_POSTGRESQL_18 = 180_000

WAL_LOG_BYTES_MAX = 256 * 1024**2
"""Up to here a clone is written block by block through the log: it costs its size twice, but no checkpoint. Copying
files forces two checkpoints of the whole server, which only a large template makes up for."""

WAL_LOG_BYTES_MAX_WITH_CLONES = 32 * 1024**2
"""The same where the file system shares blocks, so that two checkpoints are all that copying files costs."""


class FileCopyMethod(StrEnum):
    """How a server from 18 on copies the files of a large template."""

    SERVER = "server"
    """As its own configuration says."""
    COPY = "copy"
    CLONE = "clone"
    """Sharing their blocks, where its file system can."""


_SETTING = sql.SQL("SELECT current_setting('file_copy_method') AS name")
_CREATE = sql.SQL(
    "CREATE DATABASE {name} OWNER {owner} TEMPLATE {template} STRATEGY {strategy}"
    " ALLOW_CONNECTIONS false IS_TEMPLATE false"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    name: str


def clone_database(
    session: Session, template: str, name: str, *, owner: str, file_copy_method: FileCopyMethod
) -> None:
    """Make a database that nobody can connect to yet. Raises TransientError("TemplateInUse")."""
    strategy = _strategy(session, size_bytes_of(session, template), file_copy_method)
    try:
        session.run(
            _CREATE.format(
                name=sql.Identifier(name),
                owner=sql.Identifier(owner),
                template=sql.Identifier(template),
                strategy=sql.Identifier(strategy),
            )
        )
    except errors.ObjectInUse as error:
        raise TransientError(
            "TemplateInUse",
            f"The template {template} cannot be copied while somebody is connected to it: {words_of(error)}",
        ) from error


def strategy_for(size_bytes: int, *, shares_blocks: bool) -> str:
    """The cheaper of the server's two ways."""
    limit = WAL_LOG_BYTES_MAX_WITH_CLONES if shares_blocks else WAL_LOG_BYTES_MAX
    return "wal_log" if size_bytes <= limit else "file_copy"


def _strategy(session: Session, size_bytes: int, method: FileCopyMethod) -> str:
    if session.server_version < _POSTGRESQL_18 or size_bytes <= WAL_LOG_BYTES_MAX_WITH_CLONES:
        return strategy_for(size_bytes, shares_blocks=False)
    if method is not FileCopyMethod.SERVER:
        session.run(sql.SQL("SET file_copy_method = {}").format(sql.Literal(method.value)))
    [setting] = session.rows(_Setting, _SETTING)
    return strategy_for(size_bytes, shares_blocks=setting.name == FileCopyMethod.CLONE)
