"""One database for all previews of a project: declared as shared, and never made, changed or dropped.

Its address is a file that an administrator writes. It is read when it is needed, and shown nowhere.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from previews.domain.database import Credential, Database, DatabaseLimits, Login, Template
from previews.domain.preview import SHARED_INCARNATION, HeadSha, PreviewKey
from previews.errors import StalledError

_SCHEMES = ("postgresql", "postgres")
_PORT = 5432
_SSLMODE = "prefer"
_SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_CREDENTIAL_LENGTH = 16


@dataclass(frozen=True, slots=True)
class _Address:
    """What the file said, and which file that was."""

    login: Login
    credential: str
    at: datetime


class SharedDatabase:
    """`resource_ports.DatabaseServer` of one project. Safe from any thread."""

    def __init__(self, url_file: Path) -> None:
        """`url_file` holds `postgresql://user:password@host:port/name?sslmode=...`. Does not read it yet."""
        self._url_file = url_file

    def find(self, key: PreviewKey) -> Database | None:
        """The database, which is always there. Another file is another password."""
        address = self._read()
        return Database(
            name=address.login.database,
            key=key,
            has_role=True,
            has_database=True,
            is_ready=True,
            is_shared=True,
            incarnation=SHARED_INCARNATION,
            created_at=address.at,
            credential=address.credential,
            credential_at=address.at,
        )

    def list_databases(self) -> list[Database]:
        """None: nothing here is a preview's own."""
        return []

    def create(
        self,
        key: PreviewKey,
        template: str,
        limits: DatabaseLimits,
        *,
        incarnation: str,
        at: datetime,
    ) -> None:
        """Nothing, as in everything else that would change a preview's own database."""

    def set_credential(self, key: PreviewKey, credential: Credential) -> None: ...

    def note_migrated(self, key: PreviewKey, head_sha: HeadSha) -> None: ...

    def drop(self, key: PreviewKey) -> None: ...

    def login(self, key: PreviewKey, password: str) -> Login:  # noqa: ARG002 - it has a password of its own
        """As the file says it, whatever `password` is. Raises StalledError("DatabaseAddressUnusable")."""
        return self._read().login

    def size_bytes(self, key: PreviewKey) -> int:  # noqa: ARG002 - the port has it
        """Nothing of it is a preview's own."""
        return 0

    def templates(self) -> list[Template]:
        return []

    def fill_pool(self, template: str, wanted: int, *, at: datetime) -> bool:  # noqa: ARG002 - the port has it
        return False

    def check(self) -> None:
        """Whether the file can be used. Raises StalledError("DatabaseAddressUnusable")."""
        self._read()

    def _read(self) -> _Address:
        try:
            # The two belong together, also while another file takes its place.
            with self._url_file.open("rb") as file:
                status, content = os.fstat(file.fileno()), file.read()
        except OSError as error:
            raise self._unusable(f"cannot be read: {error.strerror}") from error
        login = _parse(content)
        if isinstance(login, str):
            # Not from what went wrong in there: that would show a part of the password.
            raise self._unusable(login)
        return _Address(
            login=login,
            credential=_credential_of(status),
            at=datetime.fromtimestamp(status.st_mtime, UTC),
        )

    def _unusable(self, why: str) -> StalledError:
        return StalledError(
            "DatabaseAddressUnusable",
            f"The address of the shared database, in {self._url_file}, {why}. It has to read "
            "postgresql://user:password@host:port/name?sslmode=..., with special characters as %XX",
        )


def _parse(content: bytes) -> Login | str:
    """What the address says, or why it cannot be used, without a word of it."""
    try:
        url = content.decode().strip()
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORT
        user, password = _plain(parts.username), _plain(parts.password)
        database = _plain(parts.path.removeprefix("/"))
        options = dict(
            parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        )
    except ValueError:
        return "is no address"
    if parts.scheme not in _SCHEMES or not url.isprintable() or " " in url or parts.fragment:
        return "is no address"
    if not (host and user and password and database) or "," in host or "/" in database:
        return "does not name one host, a user, a password and a database"
    sslmode = options.pop("sslmode", _SSLMODE)
    if options or sslmode not in _SSLMODES:
        return f"has an option other than an sslmode of {', '.join(_SSLMODES)}"
    return Login(
        host=host, port=port, database=database, user=user, password=password, sslmode=sslmode
    )


def _plain(text: str | None) -> str:
    return unquote(text or "", errors="strict")


def _credential_of(status: os.stat_result) -> str:
    """Another one for another file. Nothing of the password is in it: it is in Git, for everybody to guess at."""
    identity = f"{status.st_mtime_ns} {status.st_size}"
    return sha256(identity.encode()).hexdigest()[:_CREDENTIAL_LENGTH]
