"""A preview's own database: what a project asks for, what a server says of it, and whether its password agrees. Pure.

Nobody remembers a password. Each has an id instead: the role says which one it has, the secret which one it carries,
and where the two differ, whatever happened in between, a new password is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import quote

from previews.domain.preview import PreviewKey, Trace


class Provider(StrEnum):
    """Where a preview's data lie."""

    POSTGRES = "postgres"
    """In a database of its own."""
    SHARED = "shared"
    """In one that all previews of the project share. It is never made, changed or dropped."""


class SecretKind(StrEnum):
    """How a secret reaches a preview's namespace."""

    SEALED_SECRETS = "sealed-secrets"
    EXTERNAL_SECRETS = "external-secrets"
    KUBERNETES = "kubernetes"
    """Applied by the manager itself, and never in Git."""


class SecretType(StrEnum):
    """What Kubernetes takes a Secret for."""

    OPAQUE = "Opaque"
    DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLimits:
    """What keeps one preview from using up a server. Its own application may change all but the first."""

    connections: int = 20
    statement_timeout: timedelta = timedelta(minutes=1)
    idle_timeout: timedelta = timedelta(minutes=10)
    """Of a session without a statement, within a transaction and outside of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabasePolicy:
    """What a project says of its previews' databases."""

    provider: Provider = Provider.POSTGRES
    server: str = ""
    """One of the configured servers."""
    template: str = ""
    """The database that each preview's is a clone of."""
    limits: DatabaseLimits = field(default_factory=DatabaseLimits)
    storage_warning_bytes: int | None = None
    secret_kind: SecretKind = SecretKind.SEALED_SECRETS
    secret_name: str = "database"  # noqa: S105 the name of an object, not what is in it
    migrations: str = ""
    """The folder of migrations in the project's repository, whose files nobody should edit after they ran."""

    @property
    def trace(self) -> Trace:
        """Where something of such a database may be."""
        server = "" if self.provider is Provider.SHARED else self.server
        return Trace(server, self.secret_kind.value, self.secret_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """What a server says of one preview's database and role, or of what bears their names."""

    name: str
    """Of both."""
    key: PreviewKey | None
    """From the mark; None when it is not ours."""
    has_role: bool
    has_database: bool
    is_ready: bool = False
    """Whether it was finished: cloned, closed to everybody else, marked and opened."""
    incarnation: str = ""
    """Another one each time that it is made."""
    created_at: datetime | None = None
    credential: str = ""
    """The id of the password that the role has; empty while it has none."""
    credential_at: datetime | None = None
    template: str = ""
    """What it was cloned from: the template's name and when that was built."""
    is_shared: bool = False
    """Whether it is not this preview's alone: it is there before and after it."""
    migrated: str = ""
    """The last commit whose migrations ran in it, as far as none was edited after it ran."""
    limits: DatabaseLimits | None = None
    """Those that it was given last; None where nobody noted them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A new password. It exists in the server's hash, in the secret, and for a moment here."""

    id: str
    at: datetime
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """All that an application needs to use its database."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    sslmode: str = "prefer"

    def variables(self) -> dict[str, str]:
        """As libpq reads them from the environment, and as one address."""
        credentials = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        where = f"{host}:{self.port}/{quote(self.database, safe='')}"
        return {
            "DATABASE_URL": f"postgresql://{credentials}@{where}?sslmode={self.sslmode}",
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGDATABASE": self.database,
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGSSLMODE": self.sslmode,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret on its way to a preview's namespace."""

    key: PreviewKey
    namespace: str
    name: str
    credential: str
    """The id of what is in it."""
    labels: Mapping[str, str]
    data: Mapping[str, str] = field(repr=False)
    type: SecretType = SecretType.OPAQUE
    remote: str = ""
    """Where its content lies in the store already. Only external-secrets has one, and then there are no `data`."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a server, or a delivery, last answered instead of doing what it was asked."""

    reason: str
    message: str
    is_stalled: bool
    """Whether asking again will not change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A golden template, as its server describes it."""

    name: str
    built_at: datetime
    size_bytes: int
    users: int
    """Previews whose databases were cloned from this build of it."""
    warm: int = 0
    """Clones that stand ready."""
