"""Builds what makes and lists golden templates, as configured. A part of the composition root."""

from collections.abc import Callable
from datetime import datetime

from previews.adapters.databases.connections import ServerLogin
from previews.adapters.databases.postgres import PostgresServer
from previews.adapters.databases.templates import TemplateBuilder
from previews.database_settings import DatabaseServerSettings
from previews.domain.database import Template
from previews.settings import Settings


def login_of(server: DatabaseServerSettings) -> ServerLogin:
    """How the manager reaches a server."""
    return ServerLogin(
        host=server.host,
        port=server.port,
        user=server.user,
        password_file=server.password_file,
        database=server.database,
        sslmode=server.sslmode,
    )


def build_builder(
    settings: Settings,
    server: DatabaseServerSettings,
    *,
    now: Callable[[], datetime],
    say: Callable[[str], None],
) -> TemplateBuilder:
    """What builds a server's templates. `say` is told of each step."""
    return TemplateBuilder(login_of(server), instance=settings.instance, now=now, say=say)


def read_templates(settings: Settings, server: DatabaseServerSettings) -> list[Template]:
    """The golden templates that a server has now."""
    postgres = PostgresServer(login_of(server), instance=settings.instance)
    try:
        return postgres.templates()
    finally:
        postgres.close()
