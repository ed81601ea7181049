"""The part of the configuration that is about databases. Read with the rest of it, in settings.py."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, ByteSize, Field, model_validator

from previews.domain.database import DatabaseLimits, DatabasePolicy, Provider, SecretKind
from previews.secret_settings import SecretsSettings
from previews.setting_types import (
    ExistingFile,
    Limit,
    Section,
    Span,
    dns_label,
    dns_name,
    folder,
)
from previews.template_settings import TemplateSettings

Port = Annotated[int, Field(ge=1, le=65535)]
SSLMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]


class AddressSettings(Section):
    """Where the previews' own applications reach a server."""

    host: str
    port: Port = 5432


class DatabaseServerSettings(Section):
    """A PostgreSQL server on which previews have databases of their own."""

    name: Annotated[str, AfterValidator(dns_label)]
    host: str
    port: Port = 5432
    user: str = "previews"
    password_file: ExistingFile
    database: str = "postgres"
    """Where the manager connects; it makes nothing there."""
    sslmode: SSLMode = "prefer"
    address: AddressSettings | None = None
    """Absent: previews reach it where the manager does."""
    open_databases: list[str] = []
    """Databases to which everybody may connect, and that cannot be closed."""
    templates: list[TemplateSettings] = []


class ProjectSecretSettings(Section):
    """How a preview gets what opens its database."""

    provider: SecretKind = SecretKind.SEALED_SECRETS
    name: Annotated[str, AfterValidator(dns_name)] = "database"
    """The Secret's name in the preview's namespace."""


class ProjectDatabaseSettings(Section):
    """The database of a project's previews."""

    provider: Provider = Provider.POSTGRES
    server: str = ""
    """Of `databases`, by its name. Unused with `shared`."""
    template: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")] | None = None
    """The golden template that each preview's database is a clone of. Unused with `shared`."""
    url_file: ExistingFile | None = None
    """With `shared`: the address of the one database, as postgresql://user:password@host:port/name."""
    connections: Limit = 20
    statement_timeout: Span = timedelta(minutes=1)
    idle_timeout: Span = timedelta(minutes=10)
    storage_warning: ByteSize | None = None
    """A database that is larger is pointed out."""
    migrations: Annotated[str, AfterValidator(folder)] | None = None
    """The folder of migrations in the project's repository: one that is edited after it ran is pointed out."""
    secret: ProjectSecretSettings = ProjectSecretSettings()

    @model_validator(mode="after")
    def _check(self) -> "ProjectDatabaseSettings":
        if self.provider is Provider.SHARED and self.url_file is None:
            raise ValueError("a shared database needs url_file")
        if self.provider is Provider.POSTGRES and not (self.server and self.template):
            raise ValueError("needs server and template")
        return self

    def policy(self, project: str) -> DatabasePolicy:
        is_shared = self.provider is Provider.SHARED
        return DatabasePolicy(
            provider=self.provider,
            server=shared_server(project) if is_shared else self.server,
            template=self.template or "",
            limits=DatabaseLimits(
                connections=self.connections,
                statement_timeout=self.statement_timeout,
                idle_timeout=self.idle_timeout,
            ),
            storage_warning_bytes=self.storage_warning,
            secret_kind=self.secret.provider,
            secret_name=self.secret.name,
            migrations=self.migrations or "",
        )


def shared_server(project: str) -> str:
    """The name under which a project's shared database is known; no configured server can have it."""
    return f"shared by {project}"


def check_databases(
    servers: list[DatabaseServerSettings],
    secrets: SecretsSettings,
    project: ProjectDatabaseSettings,
) -> None:
    """Raises ValueError when a project names what is not configured."""
    if project.provider is Provider.POSTGRES and project.server not in {s.name for s in servers}:
        raise ValueError(f"there is no database server {project.server!r} under databases")
    needs_store = project.secret.provider is SecretKind.EXTERNAL_SECRETS
    external = secrets.external_secrets
    if needs_store and (external is None or not external.put_command):
        raise ValueError("external-secrets needs secrets.external_secrets with a put_command")
