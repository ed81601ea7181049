"""Golden templates, from a machine that reaches the database server and holds the sources: `previews template`."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from previews.cli import text
from previews.database_settings import DatabaseServerSettings
from previews.domain.template import Recipe
from previews.errors import ConfigurationError
from previews.settings import Settings, load_settings

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The configuration file.", envvar="PREVIEWS_CONFIG")
]

_MEGABYTE = 1024 * 1024


def add_to(cli: typer.Typer) -> None:
    templates = typer.Typer(help="Build golden templates and list them.", no_args_is_help=True)
    templates.command()(build)
    templates.command("list")(list_templates)
    cli.add_typer(templates, name="template")


def build(
    *,
    name: Annotated[str, typer.Argument(help="The template, as the configuration calls it.")],
    server: Annotated[
        str | None, typer.Option("--server", help="The database server; needed if several have it.")
    ] = None,
    config: ConfigOption,
) -> None:
    """Build a golden template as configured, and put it in the place of the former build."""
    from previews.app_templates import build_builder  # noqa: PLC0415 - a database client takes long to load

    settings = load_settings(config)
    chosen, recipe = _choose(settings, config, name, server)
    build_builder(settings, chosen, now=lambda: datetime.now(UTC), say=_say).build(name, recipe)


def list_templates(*, config: ConfigOption) -> None:
    """Show each server's templates: how old and how large they are, and how many previews use them."""
    settings = load_settings(config)
    rows = [row for server in settings.databases for row in _rows(settings, server)]
    if rows:
        heading = ("TEMPLATE", "SERVER", "BUILT", "SIZE", "USERS", "WARM")
        typer.echo(text.table(heading, rows))
    else:
        sys.stderr.write("no templates\n")


def _choose(
    settings: Settings, config: Path, name: str, server: str | None
) -> tuple[DatabaseServerSettings, Recipe]:
    """The one server that is to have the template, and what it is made from. Raises ConfigurationError."""
    found = [
        (each, template.build.recipe())
        for each in settings.databases
        if server in {None, each.name}
        for template in each.templates
        if template.name == name and template.build
    ]
    where = f"on {server}" if server else "on any server"
    if not found:
        raise ConfigurationError(
            f"{config}: databases: there is no template {name} with a build {where}"
        )
    if len(found) > 1:
        names = ", ".join(each.name for each, _ in found)
        raise ConfigurationError(f"{name} is on {names}: say which with --server")
    return found[0]


def _rows(settings: Settings, server: DatabaseServerSettings) -> Iterable[tuple[str, ...]]:
    from previews.app_templates import read_templates  # noqa: PLC0415 - as above

    for each in read_templates(settings, server):
        size = f"{each.size_bytes / _MEGABYTE:.0f} MB"
        built = text.moment(each.built_at)
        yield each.name, server.name, built, size, str(each.users), str(each.warm)


def _say(line: str) -> None:
    sys.stderr.write(f"{text.plain(line)}\n")
