"""What a server's errors mean to the loop, by their SQLSTATE. The server's own words go along, never the statement."""

import psycopg
from psycopg import errors

from previews.adapters.one_line import one_line
from previews.errors import PreviewsError, StalledError, TransientError

_WORDS_LENGTH_MAX = 400

_GONE = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.DatabaseDropped,
    errors.IdleInTransactionSessionTimeout,
    errors.IdleSessionTimeout,
    errors.ReadOnlySqlTransaction,
)
_FULL = (
    errors.InsufficientResources,
    errors.DiskFull,
    errors.OutOfMemory,
    errors.TooManyConnections,
    errors.ConfigurationLimitExceeded,
)
_CHECKPOINT = "checkpoint request failed"
"""What a removal is told when another process of the server found no room. It has no SQLSTATE of its own."""
_RACES = (
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.QueryCanceled,
    errors.DuplicateDatabase,
    errors.DuplicateObject,
    errors.UniqueViolation,
    errors.InternalError_,  # "tuple concurrently updated": two commands changed one role or database at once
    errors.UndefinedFile,  # a database that vanished while its size was taken
)
"""What another session did at the same moment, an earlier one of ours as a rule: it comes right by itself."""


def words_of(error: psycopg.Error) -> str:
    """What the server said, on one line. Without the statement: that may hold the hash of a password."""
    said = error.diag.message_primary or str(error)
    detail = error.diag.message_detail
    return one_line(f"{said} ({detail})" if detail else said, _WORDS_LENGTH_MAX)


def connection_refusal(error: psycopg.Error, server: str) -> TransientError:
    """Why there is no connection. A wrong password too may be right a moment later, when it has just been changed."""
    words = words_of(error)
    # libpq hands on no SQLSTATE here. In another language than English it still says what is wrong.
    if "too many" in words or "connection slots" in words:
        return TransientError("DatabaseServerFull", f"{server} takes no more connections: {words}")
    return TransientError("DatabaseServerUnreachable", f"{server} cannot be reached: {words}")


def refusal(error: psycopg.Error, server: str) -> PreviewsError:
    """What an error means that the operation itself knows nothing better about."""
    words = words_of(error)
    if isinstance(error, _GONE) or error.sqlstate is None or error.sqlstate.startswith("08"):
        return TransientError(
            "DatabaseServerUnreachable", f"{server} ended the connection: {words}"
        )
    if isinstance(error, _FULL):
        return TransientError("DatabaseServerFull", f"{server} has no room: {words}")
    if isinstance(error, errors.InternalError_) and _CHECKPOINT in words:
        said = f"{server} cannot write to its disk, which may be full: {words}"
        return TransientError("DatabaseServerFull", said)
    if isinstance(error, _RACES):
        return TransientError("DatabaseRefused", f"{server} was interrupted: {words}")
    if isinstance(error, errors.InsufficientPrivilege):
        return StalledError(
            "DatabaseRefused",
            f"{server} does not let the manager's login do that: {words} (prepare.sql gives it its rights)",
        )
    return StalledError("DatabaseRefused", f"{server} refused: {words}")
